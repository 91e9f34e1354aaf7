"""State that a vendor wants back, wherever it puts it: what comes in one turn goes out in the next, as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openresponses.core.settings import ProviderSettings
from openresponses.schema.items import FunctionCall, FunctionCallOutput, Item, Reasoning
from openresponses.schema.request import CreateResponse
from openresponses.schema.server_items import HostedToolCall
from tests.contract.cassettes import Cassette, replayed
from tests.contract.turns import call, encode, output, turn

Json = dict[str, Any]
TOOLS: list[Json] = [{"type": "function", "name": "f"}, {"type": "serverless:clock"}]


def delta(finish: str | None = None, **fields: Any) -> Json:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def called(*calls: Json, **fields: Any) -> Json:
    return delta(tool_calls=[{"index": index, **each} for index, each in enumerate(calls)], **fields)


def made(call_id: str, name: str = "f", **fields: Any) -> Json:
    function = {"name": name, "arguments": "{}"} | fields.pop("function", {})
    return {"id": call_id, "type": "function", "function": function, **fields}


async def items(chunks: list[Json], **settings: Any) -> list[Item]:
    """What a stream of these chunks makes, with the outputs of its calls."""
    lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, delta("stop")])
    request = CreateResponse.model_validate({"model": "m", "input": "Hi", "tools": TOOLS})
    run, _ = await replayed(Cassette("chat_completions", (lines.encode(),), provider(**settings), request, {}))
    answered: list[Item] = []
    for item in run.response.output:
        if isinstance(item, HostedToolCall):
            item = item.model_copy(update={"status": "completed", "output": "ok"})
        answered.append(item)
    calls = [item for item in answered if isinstance(item, FunctionCall)]
    return [*answered, *(FunctionCallOutput(call_id=each.call_id, output="ok") for each in calls)]


def provider(base_url: str = "http://vendor.test/v1", **options: Any) -> ProviderSettings:
    return ProviderSettings(name="vendor", dialect="chat_completions", base_url=base_url, options=options)


def messages(history: list[Item], **settings: Any) -> Any:
    """What goes back, without the user's messages and the outputs of calls."""
    body = encode(turn(input=[each.model_dump(mode="json") for each in history], tools=TOOLS), provider(**settings))
    sent: Any = body["messages"]
    assert [each["tool_call_id"] for each in sent if each["role"] == "tool"] == [
        each["id"] for message in sent for each in message.get("tool_calls", ())
    ]
    return [each for each in sent if each["role"] == "assistant"]


def said(content: Any = None, *calls: Json, **fields: Any) -> Json:
    return {"role": "assistant", "content": content, **({"tool_calls": [*calls]} if calls else {}), **fields}


def text(words: str, index: int = 0, **fields: Any) -> Json:
    return {"type": "reasoning.text", "text": words, "format": "anthropic-claude-v1", "index": index, **fields}


SEALED: Json = {"type": "reasoning.encrypted", "data": "E", "id": "a", "format": "google-gemini-v1", "index": 0}
SIGNED: Json = {"google": {"thought_signature": "S"}}
KEPT: dict[str, tuple[list[Json], list[Json]]] = {
    # openrouter.ai in the recordings, "anthropic/claude-sonnet-4.5"
    "OpenRouter: details in pieces, the signature last, a redacted one behind": (
        [
            delta(reasoning=None, reasoning_details=[]),
            delta(reasoning=None, reasoning_details=[text("", signature="")]),
            delta(reasoning="One ", reasoning_details=[text("One ")]),
            delta(reasoning="two.", reasoning_details=[text("two.")]),
            delta(reasoning_details=[{"type": "reasoning.text", "signature": "S", "index": 0}]),
            delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "R", "index": 1}]),
            delta(reasoning="Three.", reasoning_details=[text("Three.", 2, signature="T")]),
            delta(content="So."),
            called(made("a")),
        ],
        [
            said(
                "So.",
                made("a"),
                reasoning_details=[
                    text("One two.", signature="S"),
                    {"type": "reasoning.encrypted", "data": "R", "index": 1},
                    text("Three.", 2, signature="T"),
                ],
            )
        ],
    ),
    "OpenRouter: a summary in pieces, and what it is of": (
        [
            delta(reasoning_details=[{"type": "reasoning.summary", "summary": "Look ", "index": 0, "id": None}]),
            delta(reasoning_details=[{"type": "reasoning.summary", "summary": "up.", "index": 0, "id": "rs"}]),
            delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "E", "index": 0, "id": "rs"}]),
            called(made("a")),
        ],
        [
            said(
                None,
                made("a"),
                reasoning_details=[
                    {"type": "reasoning.summary", "summary": "Look up.", "index": 0, "id": "rs"},
                    {"type": "reasoning.encrypted", "data": "E", "index": 0, "id": "rs"},
                ],
            )
        ],
    ),
    # openrouter.ai in the recordings, "google/gemini-2.0-flash-exp:free" and "openai/o3"
    "OpenRouter: details behind the text": (
        [delta(content="So"), delta(content=".", reasoning_details=[SEALED]), delta(content="")],
        [said("So.", reasoning_details=[SEALED])],
    ),
    "OpenRouter: details behind the calls": (
        [called(made("a"), made("b")), delta(reasoning_details=[SEALED])],
        [said(None, made("a"), made("b"), reasoning_details=[SEALED])],
    ),
    "OpenRouter: details behind a call that this server runs": (
        [called(made("a", "clock")), delta(reasoning_details=[SEALED])],
        [said(None, made("a", "clock"), reasoning_details=[SEALED])],
    ),
    # myorg-myaccount.snowflakecomputing.com in the recordings
    "Snowflake: details alone": (
        [
            delta(content="", reasoning_details=[text("15", id="reasoning-text-1")]),
            delta(content="", reasoning_details=[text(" * 27", id="reasoning-text-1")]),
            delta(content="405", reasoning_details=None),
        ],
        [said("405", reasoning_details=[text("15 * 27", id="reasoning-text-1")])],
    ),
    # https://platform.minimax.io/docs/guides/text-m2-function-call, 2026-11
    "MiniMax: details without an index": (
        [
            delta(
                reasoning_details=[{"type": "reasoning.text", "id": "r1", "format": "MiniMax-response-v1", "text": w}]
            )
            for w in ("Let ", "me.")
        ]
        + [called(made("a"))],
        [
            said(
                None,
                made("a"),
                reasoning_details=[
                    {"type": "reasoning.text", "id": "r1", "format": "MiniMax-response-v1", "text": "Let me."}
                ],
            )
        ],
    ),
    # https://ai.google.dev/gemini-api/docs/thought-signatures, 2026-11
    "Gemini: a signature on the first of parallel calls": (
        [called(made("a", extra_content=SIGNED), made("b"))],
        [said(None, made("a", extra_content=SIGNED), made("b"))],
    ),
    "Gemini: a signature on each, in chunks of their own": (
        [
            delta(content="Look."),
            delta(tool_calls=[{"index": 0, **made("a", extra_content=SIGNED)}]),
            delta(tool_calls=[{"index": 1, **made("b", extra_content={"google": {"thought_signature": "T"}})}]),
        ],
        [
            said(
                "Look.",
                made("a", extra_content=SIGNED),
                made("b", extra_content={"google": {"thought_signature": "T"}}),
            )
        ],
    ),
    "Gemini: a signature behind its call, which this server runs": (
        [
            delta(tool_calls=[{"index": 0, **made("a", "clock")}]),
            delta(tool_calls=[{"index": 0, "id": "a", "extra_content": SIGNED}]),
        ],
        [said(None, made("a", "clock", extra_content=SIGNED))],
    ),
    "Gemini: a call that comes again in every piece, with its signature": (
        [
            delta(tool_calls=[{"index": 0, **made("a", function={"arguments": "{"}, extra_content=SIGNED)}]),
            delta(tool_calls=[{"index": 0, **made("a", function={"arguments": "}"}, extra_content=SIGNED)}]),
        ],
        [said(None, made("a", extra_content=SIGNED))],
    ),
    "Gemini: a signature on the text": (
        [delta(content="So."), delta(content="", extra_content=SIGNED)],
        [said("So.", extra_content=SIGNED)],
    ),
    # https://github.com/anomalyco/opencode/pull/8900, 2026-11
    "Copilot: an opaque field beside the text": (
        [
            delta(reasoning_text="Let "),
            delta(reasoning_text="me."),
            delta(content="So.", reasoning_opaque="O"),
            called(made("a")),
        ],
        [said("So.", made("a"), reasoning_text="Let me.", reasoning_opaque="O")],
    ),
    # https://docs.litellm.ai/docs/reasoning_content and litellm 1.110, `get_combined_thinking_content`
    "LiteLLM: blocks in pieces": (
        [
            delta(reasoning_content="A", thinking_blocks=[{"type": "thinking", "thinking": "A", "signature": ""}]),
            delta(reasoning_content="B", thinking_blocks=[{"type": "thinking", "thinking": "B", "signature": ""}]),
            delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "S"}]),
            delta(thinking_blocks=[{"type": "redacted_thinking", "data": "R"}]),
            delta(reasoning_content="C", thinking_blocks=[{"type": "thinking", "thinking": "C", "signature": ""}]),
            delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "T"}]),
            called(made("a")),
        ],
        [
            said(
                None,
                made("a"),
                thinking_blocks=[
                    {"type": "thinking", "thinking": "AB", "signature": "S"},
                    {"type": "redacted_thinking", "data": "R"},
                    {"type": "thinking", "thinking": "C", "signature": "T"},
                ],
            )
        ],
    ),
    # litellm 1.110, `get_thought_signature_from_tool`
    "LiteLLM: a signature on the call, and on its function": (
        [
            called(
                made("a", provider_specific_fields={"thought_signature": "S"}),
                made("b", function={"provider_specific_fields": {"thought_signature": "T"}}),
            )
        ],
        [
            said(
                None,
                made("a", provider_specific_fields={"thought_signature": "S"}),
                made("b", function={"provider_specific_fields": {"thought_signature": "T"}}),
            )
        ],
    ),
    # litellm 1.110, `encode_tool_call_id_with_signature`
    "LiteLLM: a signature in the call's id": (
        [called(made("call_1__thought__" + "S" * 300), made("call_2__thought__" + "S" * 100))],
        [said(None, made("call_1__thought__" + "S" * 300), made("call_2__thought__" + "S" * 100))],
    ),
    # https://docs.mistral.ai/inference/conversations/reasoning, 2026-11
    "Mistral: parts of the content": (
        [
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Let "}]}]),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "me."}], "closed": True}]),
            delta(content=[{"type": "text", "text": "S"}]),
            delta(content="o."),
            called(made("a")),
        ],
        [
            said(
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Let me."}], "closed": True},
                    {"type": "text", "text": "So."},
                ],
                made("a"),
            )
        ],
    ),
    # https://docs.databricks.com/aws/en/machine-learning/model-serving/query-reason-models, 2026-11
    "Databricks: parts of the content, signed": (
        [
            delta(
                content=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Let ", "signature": ""}]}]
            ),
            delta(
                content=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": "me.", "signature": ""}]}]
            ),
            delta(content=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": "", "signature": "S"}]}]),
            delta(content="So."),
        ],
        [
            said(
                [
                    {
                        "type": "reasoning",
                        "summary": [{"type": "summary_text", "text": "Let me.", "signature": "S"}],
                    },
                    {"type": "text", "text": "So."},
                ]
            )
        ],
    ),
    # https://openrouter.ai/docs/guides/overview/multimodal/pdfs, 2026-11
    "OpenRouter: a file that was read": (
        [delta(content="So.", annotations=[{"type": "file", "file": {"hash": "h", "content": []}}])],
        [said("So.", annotations=[{"type": "file", "file": {"hash": "h", "content": []}}])],
    ),
    "reasoning in a field of its own": (
        [delta(reasoning_content="Let me."), called(made("a"))],
        [said(None, made("a"), reasoning_content="Let me.")],
    ),
}


@pytest.mark.parametrize(("chunks", "expected"), KEPT.values(), ids=KEPT)
async def test_state_goes_back_as_it_came(chunks: list[Json], expected: list[Json]) -> None:
    assert messages(await items(chunks)) == expected


@pytest.mark.parametrize(("chunks", "expected"), KEPT.values(), ids=KEPT)
async def test_state_goes_back_where_no_reasoning_does(chunks: list[Json], expected: list[Json]) -> None:
    history = await items(chunks, reasoning_echo="never")
    kept = [{name: value for name, value in each.items() if name != "reasoning_content"} for each in expected]
    assert messages(history, reasoning_echo="never") == kept


@pytest.mark.parametrize(("chunks", "expected"), KEPT.values(), ids=KEPT)
async def test_another_target_gets_what_is_said_in_the_open(chunks: list[Json], expected: list[Json]) -> None:
    """A sealed state of another target is taken away before the dialect sees it."""
    history = [
        item.model_copy(update={"encrypted_content": None}) if isinstance(item, Reasoning) else item
        for item in await items(chunks)
    ]
    for sent, kept in zip(messages(history), expected, strict=True):
        content = kept["content"] if isinstance(kept["content"], str | None) else kept["content"][-1]["text"]
        calls = [each["function"]["name"] for each in kept.get("tool_calls", ())]
        assert sent["content"] == content
        assert [each["function"]["name"] for each in sent.get("tool_calls", ())] == calls
        assert sent.keys() <= {"role", "content", "tool_calls", "reasoning_content"}
        assert all(each.keys() == {"id", "type", "function"} for each in sent.get("tool_calls", ()))


async def test_state_of_calls_without_ids_goes_back_on_the_calls_it_came_on() -> None:
    history = await items([called(made("", "clock"), made("", extra_content=SIGNED))])
    [message] = messages(history)
    assert {each["function"]["name"]: each.get("extra_content") for each in message["tool_calls"]} == {
        "clock": None,
        "f": SIGNED,
    }


async def test_state_that_came_behind_the_calls_of_each_turn_stays_with_its_turn() -> None:
    first = await items([called(made("a", "clock")), delta(reasoning_details=[SEALED])])
    second = await items([called(made("b", "clock")), delta(reasoning_details=[{**SEALED, "data": "F"}])])
    assert messages([*first, *second]) == [
        said(None, made("a", "clock"), reasoning_details=[SEALED]),
        said(None, made("b", "clock"), reasoning_details=[{**SEALED, "data": "F"}]),
    ]


async def test_parallel_calls_that_this_server_ran_are_one_message_where_the_first_is_signed() -> None:
    history = await items([called(made("a", "clock", extra_content=SIGNED), made("b", "clock"))])
    assert messages(history) == [said(None, made("a", "clock", extra_content=SIGNED), made("b", "clock"))]


async def test_a_text_is_one_message_whatever_state_comes_within_it() -> None:
    history = await items([delta(content="a"), delta(content="b", reasoning_details=[SEALED]), delta(content="c")])
    assert [item.type for item in history] == ["message", "reasoning"]


FROM_ELSEWHERE = [call("a"), call("b"), output("a"), output("b")]
UNSIGNED: Json = {"google": {"thought_signature": "skip_thought_signature_validator"}}


def sent(base_url: str, model: str) -> Any:
    body = encode(turn(model, input=[{"role": "user", "content": "Hi"}, *FROM_ELSEWHERE]), provider(base_url))
    messages: Any = body["messages"]
    return messages[1]


GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"


@pytest.mark.parametrize(
    ("base_url", "model", "expected"),
    [
        (GEMINI, "gemini-3-pro-preview", said(None, made("a", extra_content=UNSIGNED), made("b"))),
        (GEMINI, "models/gemini-3.1-flash", said(None, made("a", extra_content=UNSIGNED), made("b"))),
        (GEMINI, "gemini-2.5-flash", said(None, made("a"), made("b"))),
        ("https://api.moonshot.ai/v1", "kimi-k2.5", said(None, made("a"), made("b"), reasoning_content=" ")),
        ("https://api.moonshot.cn/v1", "kimi-k2.5", said(None, made("a"), made("b"), reasoning_content=" ")),
        ("https://openrouter.ai/api/v1", "google/gemini-3-pro", said(None, made("a"), made("b"))),
    ],
)
def test_calls_that_were_made_elsewhere_have_what_the_vendor_insists_on(
    base_url: str, model: str, expected: Json
) -> None:
    assert sent(base_url, model) == expected
