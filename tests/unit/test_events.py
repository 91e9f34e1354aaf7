"""The events, held to the official schema."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from openresponses.schema import content, items
from openresponses.schema import events as ev
from openresponses.schema.response import Response
from tests.openresponses_schema import UPSTREAM_EVENTS, check_event, event_schemas

RESPONSE = Response(id="resp_1", created_at=1, model="m")
MESSAGE = items.Message(id="msg_1", role="assistant", content=[content.OutputText(text="hi")])
REASONING = items.Reasoning(id="rs_1", content=[content.ReasoningText(text="hm")], encrypted_content="SIG")
AT: dict[str, Any] = {"item_id": "msg_1", "output_index": 0}
PART: dict[str, Any] = {**AT, "content_index": 0}
SUMMARY: dict[str, Any] = {**AT, "summary_index": 0}
CITATION = content.UrlCitation(url="https://example.com/", start_index=0, end_index=2, title="x")
LOGPROB = content.LogProb(
    token="hi", logprob=-0.5, bytes=[104, 105], top_logprobs=[content.TopLogProb(token="hi", logprob=-0.5, bytes=[104])]
)

EVENTS: list[Any] = [
    ev.ResponseCreated(response=RESPONSE),
    ev.ResponseQueued(response=RESPONSE.model_copy(update={"status": "queued"})),
    ev.ResponseInProgress(response=RESPONSE),
    ev.ResponseCompleted(response=RESPONSE.model_copy(update={"status": "completed", "output": [MESSAGE, REASONING]})),
    ev.ResponseFailed(response=RESPONSE.model_copy(update={"status": "failed"})),
    ev.ResponseIncomplete(response=RESPONSE.model_copy(update={"status": "incomplete"})),
    ev.OutputItemAdded(output_index=0, item=MESSAGE),
    ev.OutputItemDone(output_index=0, item=REASONING),
    ev.ContentPartAdded(**PART, part=content.OutputText()),
    ev.ContentPartDone(**PART, part=content.Refusal(refusal="no")),
    ev.OutputTextDelta(**PART, delta="hi", logprobs=[LOGPROB]),
    ev.OutputTextDone(**PART, text="hi", logprobs=[LOGPROB]),
    ev.AnnotationAdded(**PART, annotation_index=0, annotation=CITATION),
    ev.RefusalDelta(**PART, delta="no", obfuscation="x"),
    ev.RefusalDone(**PART, refusal="no"),
    ev.ReasoningDelta(**PART, delta="hm"),
    ev.ReasoningDone(**PART, text="hm"),
    ev.SummaryPartAdded(**SUMMARY, part=content.SummaryText()),
    ev.SummaryPartDone(**SUMMARY, part=content.SummaryText(text="so")),
    ev.SummaryTextDelta(**SUMMARY, delta="so"),
    ev.SummaryTextDone(**SUMMARY, text="so"),
    ev.ArgumentsDelta(**AT, delta="{}"),
    ev.ArgumentsDone(**AT, arguments="{}"),
    ev.CompactionCompacting(**AT),
    ev.ToolProgress.model_validate({**AT, "type": "response.image_generation_call.partial_image", "b64": "AA=="}),
    ev.ErrorEvent(error=ev.ErrorPayload(type="server_error", code=None, message="m")),
]
ADAPTER: TypeAdapter[ev.Event] = TypeAdapter(ev.Event)
every_event = pytest.mark.parametrize("event", [pytest.param(event, id=event.type) for event in EVENTS])


def test_every_class_is_here_and_the_schema_knows_no_other_event() -> None:
    union = get_args(get_args(ev.Event)[0])
    assert {type(event) for event in EVENTS} == set(union)
    assert sorted(event.type for event in EVENTS if event.type not in UPSTREAM_EVENTS) == sorted(event_schemas())
    assert len(event_schemas()) == 24


@every_event
def test_an_event_fits_the_official_schema(event: Any) -> None:
    check_event(event.model_dump(mode="json"))


@every_event
def test_an_event_survives_json(event: Any) -> None:
    assert ADAPTER.validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize(
    "item",
    [
        MESSAGE,
        items.Message(id="m", role="user", phase="commentary", content=[content.InputText(text="hi")]),
        items.Message(id="m", role="user", content=[content.InputImage(image_url="https://example.com/x.png")]),
        items.FunctionCall(id="fc", call_id="c", name="f", arguments="{}", status="in_progress"),
        items.FunctionCallOutput(id="fco", call_id="c", output="2"),
        items.FunctionCallOutput(id="fco", call_id="c", output=[content.InputText(text="2")]),
        items.CustomToolCall(id="ctc", call_id="c", name="shell", input="ls"),
        REASONING,
        items.Compaction(id="cmp", encrypted_content="x"),
        items.HostedToolCall(type="serverless:clock", id="h", call_id="c", name="clock", status="failed", output="no"),
        items.ExtensionItem.model_validate({"type": "acme:thing", "id": "x", "more": [1]}),
        items.ExtensionItem.model_validate({"type": "mcp_call", "id": "ext_x", "status": None, "output": "2d4+1"}),
        items.McpCall(id="mcp_x", server_label="dice", name="roll", arguments="{}", output="4"),
        items.WebSearchCall(id="ws_x", action={"type": "search", "query": "dice"}),
    ],
    ids=lambda item: item.type,
)
def test_an_item_fits_the_official_schema_and_survives_json(item: Any) -> None:
    event = ev.OutputItemDone(output_index=0, item=item)
    check_event(event.model_dump(mode="json"))
    again = ADAPTER.validate_json(event.model_dump_json())
    assert again == event
    assert type(again.item) is type(item)  # pyright: ignore


def test_the_schema_check_is_strict() -> None:
    broken = ev.ResponseCreated(response=RESPONSE).model_dump(mode="json")
    del broken["response"]["truncation"]
    with pytest.raises(AssertionError, match="'truncation' is a required property"):
        check_event(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": {"type": "serverless:x", "status": "completed"}}, "no id"),
        ({"item": {"type": "serverless:x", "id": "h"}}, "no status"),
        ({"item": {"type": "Bad Slug:x", "id": "h", "status": "completed"}}, "no slug"),
        ({"item": {"type": "message", "id": "m", "status": "completed", "role": "assistant"}}, "ItemField"),
        ({"type": "response.nope"}, "no type"),
        ({"output_index": "0"}, "at output_index"),
    ],
)
def test_the_schema_check_names_what_is_wrong(change: dict[str, Any], message: str) -> None:
    event = {**ev.OutputItemDone(output_index=0, item=MESSAGE).model_dump(mode="json"), **change}
    with pytest.raises(AssertionError, match=message):
        check_event(event)


TEXT_DELTAS = [event for event in EVENTS if isinstance(event, ev.TextDelta)]


@pytest.mark.parametrize("event", TEXT_DELTAS, ids=lambda event: event.type)
def test_an_event_like_another_is_one_that_was_validated(event: Any) -> None:
    made = ev.like(event, "é\n")
    assert made == type(event).model_validate({**event.model_dump(), "delta": "é\n"})
    made.sequence_number = 5
    assert (made.model_dump_json(), event.sequence_number) == (
        event.model_copy(update={"delta": "é\n", "sequence_number": 5}).model_dump_json(),
        -1,
    )
    assert made.model_copy(update={"delta": "b"}).delta == "b"
    assert ADAPTER.validate_json(made.model_dump_json()) == made
