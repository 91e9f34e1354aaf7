"""One response for people: who it is, its timeline, and its items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from openresponses_dev.local.answer.calls import REQUEST, Event, handed_call, message_of, shortened, shown_call
from openresponses_dev.local.terminal import one_line

_TIMELINE = "serverless:timeline"
_LONGEST = 300
"""Characters of an item that are shown."""


def lines_of(response: Event, asked: Sequence[Event]) -> Iterator[str]:
    """`asked` is the input of its own request."""
    yield from _head(response)
    timeline: list[Event] = response.get(_TIMELINE) or []
    if timeline:
        yield from ("", "Timeline")
        began = min(each["began_at"] for each in timeline if "began_at" in each)
        turn = 0
        for entry in timeline:
            turn += entry["type"] == "turn"
            yield from _entry(entry, turn, began)
    yield from ("", "Items")
    output: list[Event] = response.get("output") or []
    for item in [*asked, *output]:
        yield f"  {_item(item)}"


def _head(response: Event) -> Iterator[str]:
    created = datetime.fromtimestamp(response["created_at"], UTC)
    yield f"{response['id']}  {response['status']}"
    rows: list[tuple[str, object]] = [
        ("created", f"{created:%Y-%m-%d %H:%M:%S} UTC"),
        ("model", response.get("model")),
        ("after", response.get("previous_response_id")),
        ("conversation", _object(response.get("conversation")).get("id")),
        ("background", "yes" if response.get("background") else None),
        ("metadata", ", ".join(f"{key}={value}" for key, value in _object(response.get("metadata")).items())),
        ("usage", _usage(response.get("usage"))),
        ("cost", _cost(_object(response.get("serverless:cost")).get("usd"))),
        ("error", response.get("error") and message_of(response["error"])),
        ("incomplete", _object(response.get("incomplete_details")).get("reason")),
    ]
    for name, value in rows:
        if value:
            yield f"  {name:<12}  {one_line(str(value))}"


def _entry(entry: Event, turn: int, began: float) -> Iterator[str]:
    if entry["type"] == "left_out":
        yield f"  {'':>8}  ... {entry['count']} entries are left out"
        return
    at, blank = f"  {max(0.0, entry['began_at'] - began):>6.2f} s", f"  {'':>8}"
    if entry["type"] == "call":
        server = f"{entry['server']}/" if entry.get("server") else ""
        yield f"{at}  call    {one_line(server + entry['tool'])} {entry['outcome']}{_in(entry.get('seconds'))}"
        return
    name = f"turn {turn}"
    attempts: list[Event] = entry.get("attempts") or []
    for attempt in attempts:
        why = ": ".join(filter(None, (attempt.get("error"), attempt.get("message"))))
        said = f"{attempt['target']} {attempt['outcome']}{_after(attempt.get('seconds'))}: {why}"
        yield f"{at}  {name:<7} {one_line(said)}"
        at, name = blank, ""
    yield f"{at}  {name:<7} {one_line(_answered(entry))}"


def _answered(entry: Event) -> str:
    words = [
        f"{entry.get('target') or 'no target'}{' failed' if entry.get('error') else ''}{_in(entry.get('seconds'))}"
    ]
    if entry.get("compacts"):
        words.append("a summary")
    if entry.get("first_seconds") is not None:
        words.append(f"first after {entry['first_seconds']:.2f} s")
    words.append("handed off" if entry.get("where") == "handed_off" else "inline")
    words += filter(None, (_usage(entry.get("usage")), _cost(entry.get("usd"))))
    if entry.get("discarded"):
        words.append("discarded")
    if entry.get("error"):
        words.append(": ".join(filter(None, (entry["error"], entry.get("message")))))
    return ", ".join(words)


def _item(item: Event) -> str:
    kind = str(item.get("type"))
    if kind == "message":
        return _said(str(item.get("role")), item.get("content"))
    if call := shown_call(item):
        output = f" = {call.output}" if call.output else ""
        failed = f" [{call.status}]" if call.failed else ""
        return one_line(shortened(f"{call.name}({call.arguments}){failed}{output}", _LONGEST))
    if call := handed_call(item):
        why = f" {call.status}" if kind == REQUEST else ""
        return one_line(shortened(f"{call.name}({call.arguments}){why}", _LONGEST))
    if kind == "mcp_approval_response":
        return "approved" if item.get("approve") else "refused"
    if kind.endswith("_output"):
        return _said(kind, item.get("output"))
    if kind == "reasoning":
        return _said(kind, item.get("summary") or item.get("content"))
    return one_line(kind)


def _said(who: str, content: Any) -> str:
    parts = cast("list[Event]", content) if isinstance(content, list) else [{"text": content or ""}]
    text = " ".join(
        str(part.get("text") or part.get("refusal") or f"({part.get('type', 'nothing')})") for part in parts
    )
    return one_line(f"{who}: {shortened(' '.join(text.split()), _LONGEST)}")


def _object(value: Event | None) -> Event:
    return value or {}


def _usage(usage: Event | None) -> str:
    return f"{usage['input_tokens']} in, {usage['output_tokens']} out" if usage else ""


def _cost(usd: str | None) -> str:
    return "" if usd is None else usd if usd == "unknown" else f"${usd}"


def _in(seconds: float | None) -> str:
    return "" if seconds is None else f" in {seconds:.2f} s"


def _after(seconds: float | None) -> str:
    return "" if seconds is None else f" after {seconds:.2f} s"
