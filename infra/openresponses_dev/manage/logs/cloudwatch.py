"""The log groups of a stack's functions, read by FilterLogEvents.

StartLiveTail would tell of an event a little sooner. It samples what is more than 500 events a second, ends after three
hours, costs money by the minute, and knows nothing of the past; FilterLogEvents has every event, and costs nothing.
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartLiveTail.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.logs.line import Line
from openresponses_dev.manage.problems import AwsRefused, Problem, translated

_FUNCTION, _GROUP = "AWS::Lambda::Function", "AWS::Logs::LogGroup"
_STACK = "AWS::CloudFormation::Stack"
_LATE_MS = 30_000
"""How much later than others of its time an event may come. So far back is read again."""
_EACH_S = 0.5
"""Between two requests: an account has few of them a second, and other readers may want some."""
_ROUND_S = 2.0
_LONGEST_S = 30.0
_BUSY = ("ThrottlingException", "Throttling", "LimitExceededException", "ServiceUnavailableException")


def log_groups(deployment: Deployment, function: str | None) -> dict[str, str]:
    """Names of log groups, by the functions' names in the template. Raises Problem."""
    found = dict(sorted(_groups_of(deployment, deployment.stack).items()))
    if function is None:
        return found
    if function not in found:
        near = get_close_matches(function, found, n=1) or list(found)
        mend = f"--function {near[0]}" if len(near) == 1 else f"one of {', '.join(near)}"
        raise Problem(f"{deployment.title} has no function {function}", mend)
    return {function: found[function]}


def _groups_of(deployment: Deployment, stack: str) -> dict[str, str]:
    """The stack's own, and those of the stacks that it nests."""
    pages: Any = deployment.client("cloudformation").get_paginator("list_stack_resources")
    with translated("cloudformation"):
        resources = [each for page in pages.paginate(StackName=stack) for each in page["StackResourceSummaries"]]
    named = {each["LogicalResourceId"]: each for each in resources if each.get("PhysicalResourceId")}
    found: dict[str, str] = {}
    for name, each in named.items():
        if each["ResourceType"] == _FUNCTION:
            group = named.get(f"{name}Logs")
            own = group is not None and group["ResourceType"] == _GROUP
            found[name] = group["PhysicalResourceId"] if group and own else f"/aws/lambda/{each['PhysicalResourceId']}"
        elif each["ResourceType"] == _STACK:
            found = {**_groups_of(deployment, each["PhysicalResourceId"]), **found}
    return found


class Groups:
    """Reads log groups again and again. An event is told once, also one that came later than its time says."""

    def __init__(
        self,
        deployment: Deployment,
        groups: Mapping[str, str],
        since: float,
        *,
        warn: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`since` is in Unix seconds."""
        self._logs, self._groups = deployment.client("logs"), groups
        self._from = dict.fromkeys(groups, int(since * 1000))
        self._seen: dict[str, dict[str, int]] = {name: {} for name in groups}
        self._begin = int(since * 1000)
        self._warn, self._sleep, self._wait = warn, sleep, _EACH_S

    def follow(self) -> Iterator[Line]:
        """Without end. Raises Problem for what waiting does not mend."""
        while True:
            yield from self.read()
            self._sleep(_ROUND_S)

    def read(self) -> Iterator[Line]:
        """What is new in all groups, by its time. Raises Problem."""
        found = [line for name in self._groups for line in self._new(name)]
        yield from sorted(found, key=lambda line: line.at)

    def _new(self, name: str) -> list[Line]:
        seen, lines = self._seen[name], list[Line]()
        for event in self._events(self._groups[name], self._from[name]):
            if event["eventId"] not in seen:
                seen[event["eventId"]] = int(event["timestamp"])
                lines.append(Line(event["timestamp"] / 1000, name, event["message"]))
        if seen:
            self._from[name] = begin = max(self._begin, max(seen.values()) - _LATE_MS)
            self._seen[name] = {each: at for each, at in seen.items() if at >= begin}
        return lines

    def _events(self, group: str, begin: int) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self._page(group, begin, token)
            yield from page.get("events", [])
            if "nextToken" not in page:
                return
            token = {"nextToken": page["nextToken"]}

    def _page(self, group: str, begin: int, token: Mapping[str, str]) -> dict[str, Any]:
        """One that is refused because others ask too much is asked for again, after longer and longer."""
        while True:
            self._sleep(self._wait)
            try:
                with translated("logs"):
                    page = self._logs.filter_log_events(logGroupName=group, startTime=begin, **token)
            except AwsRefused as refused:
                if refused.code == "ResourceNotFoundException":  # its function did not run yet
                    return {}
                if refused.code not in _BUSY or self._wait >= _LONGEST_S:
                    raise
                self._wait = min(self._wait * 2, _LONGEST_S)
                self._warn(f"CloudWatch Logs is asked too much: the next request is in {self._wait:g} s")
            else:
                self._wait = max(_EACH_S, self._wait / 2)
                return page
