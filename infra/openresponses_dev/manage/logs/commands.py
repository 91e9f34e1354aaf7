"""The command: one's own Lambda functions, or those of the local cloud."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import httpx2
from cyclopts import Parameter

from openresponses_dev.local.dev_key import key_of
from openresponses_dev.local.status_page import JSON_PATH, PATH
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.logs.cloudwatch import Groups, log_groups
from openresponses_dev.manage.logs.line import Line, Printer, seconds_of
from openresponses_dev.manage.problems import Problem, warn

_STOPPED = 130
_LONGER_S = 40.0
"""Than the local cloud waits for a new line."""


def logs(
    *,
    follow: Annotated[bool, Parameter(negative="--no-follow", help="go on with what comes, until Ctrl-C")] = True,
    since: Annotated[str, Parameter(metavar="TIME", help="how far back to begin: 30s, 10m, 2h, 1d")] = "10m",
    function: Annotated[
        str | None, Parameter(metavar="NAME", help="as the template names it, such as ApiFunction")
    ] = None,
    as_json: Annotated[bool, Parameter("--json", help="a line as it was printed, as JSON, each")] = False,
    where: Where = Where(),
) -> int:
    """Begins with what is there, in the order of time."""
    begin = time.time() - seconds_of(since)
    deployment = deployment_at(where)
    if deployment.local:
        lines = _local(deployment, begin, function, follow=follow)
    else:
        groups = Groups(deployment, log_groups(deployment, function), begin, warn=warn)
        lines = groups.follow() if follow else groups.read()
    printer = Printer(as_json=as_json)
    try:
        for line in lines:
            printer.show(line)
    except KeyboardInterrupt:
        return _STOPPED
    return 0


def _local(deployment: Deployment, begin: float, function: str | None, *, follow: bool) -> Iterator[Line]:
    """Raises Problem."""
    if function is not None and function not in deployment.functions:
        raise Problem(f"{deployment.title} has no function {function}", f"one of {', '.join(deployment.functions)}")
    origin = deployment.base_url.removesuffix("/v1")
    number = 0
    try:
        with httpx2.Client(base_url=origin, timeout=_LONGER_S, trust_env=False) as client:
            key = key_of(origin, client.get(JSON_PATH).raise_for_status().json())
            client.headers["authorization"] = f"Bearer {key}"
            while True:
                answer = client.get(f"{PATH}/log.json", params={"after": number}, timeout=_LONGER_S if follow else 2.0)
                document: dict[str, Any] = answer.raise_for_status().json()
                yield from _wanted(document, begin, function)
                number = int(document["next"])
                if not follow:
                    return
    except httpx2.ReadTimeout:
        if follow:
            raise Problem(f"{deployment.title} answers no more") from None
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        raise Problem(f"{deployment.title} tells no log: {error}", "is it still running?") from None


def _wanted(document: dict[str, Any], begin: float, function: str | None) -> Iterator[Line]:
    for each in document["lines"]:
        if each["at"] >= begin and function in (None, each["function"]):
            yield Line(float(each["at"]), str(each["function"]), str(each["text"]), str(each["level"]))
