"""Event source mappings of a table's stream, as a function's `Events` declare them, and the filters that they have.

https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from openresponses_dev.local.template.authorization import refuse_unknown
from openresponses_dev.local.template.properties import Properties
from openresponses_dev.local.template.yaml_tree import TemplateError

Json: TypeAlias = dict[str, Any]
Pattern: TypeAlias = "dict[str, Pattern] | list[object]"
FOREVER = -1
_KNOWN = (
    *("Stream", "StartingPosition", "Enabled", "FilterCriteria", "BatchSize", "MaximumBatchingWindowInSeconds"),
    *("ParallelizationFactor", "FunctionResponseTypes", "BisectBatchOnFunctionError", "MaximumRetryAttempts"),
    *("MaximumRecordAgeInSeconds", "DestinationConfig"),
)


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """Which records of a table's stream a function is invoked with, and how. `retries` and `age_s` may be FOREVER.
    A record passes if one of the `filters` matches it, or there is none.
    """

    name: str
    table: str
    filters: tuple[Pattern, ...] = ()
    batch_size: int = 100
    window_s: int = 0
    lanes: int = 1
    reports_items: bool = False
    bisects: bool = False
    retries: int = FOREVER
    age_s: int = FOREVER
    on_failure: str = ""

    def takes(self, record: Json) -> bool:
        return not self.filters or any(matches(each, record) for each in self.filters)


def stream_mappings(function: str, events: Properties) -> Iterator[StreamMapping]:
    for name in events.values:
        event = events.table(name)
        if event.text("Type") != "DynamoDB":
            continue
        given = event.table("Properties")
        refuse_unknown(given, *_KNOWN)
        if given.text("Enabled", "true").lower() == "true":
            yield _mapping(f"{function}{name}", given)


def _mapping(name: str, given: Properties) -> StreamMapping:
    _, slash, table = given.text("Stream").partition(":table/")
    if not slash:
        raise TemplateError(given.at("Stream"), "must be the StreamArn of a table")
    criteria = given.table("FilterCriteria")
    return StreamMapping(
        name=name,
        table=table.partition("/")[0],
        filters=tuple(_patterns(criteria)),
        batch_size=given.number("BatchSize", 100, 1, 10_000),
        window_s=given.number("MaximumBatchingWindowInSeconds", 0, 0, 300),
        lanes=given.number("ParallelizationFactor", 1, 1, 10),
        reports_items="ReportBatchItemFailures" in given.list("FunctionResponseTypes"),
        bisects=given.text("BisectBatchOnFunctionError", "false").lower() == "true",
        retries=given.number("MaximumRetryAttempts", FOREVER, FOREVER, 10_000),
        age_s=given.number("MaximumRecordAgeInSeconds", FOREVER, FOREVER, 604_800),
        on_failure=given.table("DestinationConfig").table("OnFailure").text("Destination", ""),
    )


def _patterns(criteria: Properties) -> Iterator[Pattern]:
    found = criteria.values.get("Filters") or []
    if not isinstance(found, list):
        raise TemplateError(criteria.at("Filters"), "must be a list")
    for index, each in enumerate(found):
        where = f"{criteria.at('Filters')}[{index}].Pattern"
        try:
            pattern: Any = json.loads(str(each["Pattern"])) if isinstance(each, dict) else None
        except (KeyError, ValueError) as error:
            raise TemplateError(where, "must be JSON") from error
        if not _is_known(pattern):
            raise TemplateError(where, "the local cloud does not know such a filter")
        yield pattern


def _is_known(pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return all(map(_is_known, cast("Json", pattern).values()))
    return isinstance(pattern, list) and all(
        not isinstance(rule, dict) or [*cast("Json", rule)] in (["exists"], ["prefix"], ["anything-but"])
        for rule in cast("list[object]", pattern)
    )


def matches(pattern: Pattern, value: object) -> bool:
    """What `exists` is a leaf: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"""
    if isinstance(pattern, dict):
        fields = cast("Json", value) if isinstance(value, dict) else {}
        return all(matches(below, fields.get(key)) for key, below in pattern.items())
    return any(_follows(rule, value) for rule in pattern)


def _follows(rule: object, value: object) -> bool:
    leaf = value is not None and not isinstance(value, dict)
    if not isinstance(rule, dict):
        return rule == value
    ((name, wanted),) = cast("Json", rule).items()
    match name:
        case "exists":
            return leaf is wanted
        case "prefix":
            return isinstance(value, str) and value.startswith(wanted)
        case _:
            return leaf and value not in (wanted if isinstance(wanted, list) else [wanted])
