"""What only the Messages API has to check of its cassettes: its own types, and that all goes back as it came."""

import json
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from openresponses.core.run import Run
from tests.contract.anthropic_document import problems
from tests.contract.cassettes import Cassette, answers, load, names, replayed


@pytest.mark.parametrize("name", names("anthropic"))
def test_what_is_sent_upstream_is_valid_by_anthropic_s_own_documents(name: str) -> None:
    assert problems(load("anthropic", name).sent()) == []


@pytest.mark.parametrize("name", names("anthropic"))
def test_a_cassette_is_a_stream_by_the_vendor_s_own_types(name: str) -> None:
    stream: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for event in load("anthropic", name).sse():
        assert event.event == json.loads(event.data)["type"]
        if event.event not in ("ping", "error"):
            stream.validate_json(event.data)


def content_of(cassette: Cassette) -> list[dict[str, Any]]:
    """The message's content as the vendor's own clients put it together, but one text where it is cited in pieces."""
    blocks: list[dict[str, Any]] = []
    pieces: list[str] = []
    for event in (json.loads(each.data) for each in cassette.sse()):
        match event:
            case {"type": "content_block_start", "content_block": {"type": "text"}} if is_text(blocks):
                pass
            case {"type": "content_block_start", "content_block": block}:
                blocks.append(block)
                pieces.clear()
            case {"type": "content_block_delta", "delta": {"type": "text_delta" | "thinking_delta" as kind, **more}}:
                name = kind.partition("_")[0]
                blocks[-1][name] += more[name]
            case {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": signature}}:
                blocks[-1]["signature"] += signature
            case {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": piece}}:
                pieces.append(piece)
            case {"type": "content_block_stop"} if blocks[-1]["type"].endswith("tool_use"):
                blocks[-1]["input"] = json.loads("".join(pieces) or "{}")
            case _:
                pass
    return blocks


def is_text(blocks: list[dict[str, Any]]) -> bool:
    return bool(blocks) and blocks[-1]["type"] == "text"


PARTLY = ("length_in_a_call", "fine_grained_tool")
"""What isn't JSON can't go back as it came."""


@pytest.mark.parametrize("name", [name for name in answers("anthropic") if name not in PARTLY])
async def test_a_message_goes_back_as_it_came(name: str) -> None:
    """Thinking is valid in its own message only, which must be the same to the letter."""
    cassette = load("anthropic", name)
    run, _ = await replayed(cassette)
    request = cassette.request.model_copy(update={"tool_choice": "auto", "provider": None})
    sent = replace(cassette, request=request).sent(*run.response.output)
    before = cassette.expected["sent"]["messages"]
    said = content_of(cassette) or [{"type": "text", "text": text} for text in refused(run)]
    assert sent["messages"][len([each for each in before if each["role"] != "system"])] == {
        "role": "assistant",
        "content": said,
    }


def refused(run: Run) -> list[str]:
    """Of a message that is only a refusal, our client was shown the vendor's reason."""
    return [part["refusal"] for item in run.response.model_dump()["output"] for part in item["content"]]
