"""Where we differ from the recordings, and mean to: each difference with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.recordings.recordings import Json, Recording


@dataclass(frozen=True)
class Meant:
    """`means` is right instead of what the recording's says. `sent_back` changes what its client sent back to what is
    right.
    """

    why: str
    means: Json = field(default_factory=dict)
    sent_back: Callable[[list[Json]], list[Json]] = list


def _with_first(**fields: object) -> Callable[[list[Json]], list[Json]]:
    """The first message has these fields."""
    return lambda sent: [{**sent[0], **fields}, *sent[1:]]


MEANT = {
    "test_anthropic_web_fetch_tool_stream[0] of api.anthropic.com": Meant(
        "The recording is damaged: an address was replaced in it from the middle of an escape on.",
        {
            "text": "",
            "usage": {"input": 899, "cached": 0, "output": 3},
            "error": {"message": "The provider sent an event that is not JSON"},
        },
    ),
    "test_pause_turn_web_search_streaming_vcr[0] of api.anthropic.com": Meant(
        "A paused turn isn't whole: the vendor would go on with it.", {"finish": "max_tokens"}
    ),
    "test_tools[0] of api.anthropic.com": Meant(
        "We leave out text without a word in it, which this vendor elsewhere refuses.",
        sent_back=lambda sent: [{**sent[0], "content": sent[0]["content"][1:]}, *sent[1:]],
    ),
    "test_agent_loop_streaming[v0][0] of bedrock-runtime.us-west-2.amazonaws.com": Meant(
        "That client forgot what the model said before its call.",
        sent_back=lambda sent: [{**sent[0], "content": [_SAID_BEFORE, *sent[0]["content"]]}, *sent[1:]],
    ),
    "test_openrouter_stream_error[0] of openrouter.ai": Meant(
        "The event that counts the tokens is the one that tells of the error, which ends the turn.",
        {"usage": {"input": 0, "cached": 0, "output": 0}},
    ),
    "test_tool_use_failed_error_streaming[1] of api.groq.com": Meant(
        "That client writes reasoning into the answer, in tags. The vendor gave it beside that, and wants none back.",
        sent_back=_with_first(content=None),
    ),
    "test_openai_native_tool_search_streaming[0] of api.openai.com": Meant(
        "That client has its own words for what the vendor searched by, and leaves out what was found.",
        sent_back=lambda sent: [*_SEARCHED, *sent[1:]],
    ),
    "test_openai_responses_stream[0] of api.openai.com": Meant(
        "The request is of another run of that client: the vendor gave this call another id.",
        sent_back=lambda sent: [{**item, "call_id": "call_kL0PCQV7M2WMoVX8V8OtYSAL"} for item in sent],
    ),
}
"""By the recording's name."""
_SAID_BEFORE = {"text": "I'll check the current weather in San Francisco, CA for you."}


_OF_THE_VENDOR = {"call_id": None, "execution": "server"}
_FOUND = {
    "type": "function",
    "name": "get_exchange_rate",
    "description": "Look up the current exchange rate between two currencies.",
    "parameters": {
        "type": "object",
        "properties": {"from_currency": {"type": "string"}, "to_currency": {"type": "string"}},
        "required": ["from_currency", "to_currency"],
        "additionalProperties": False,
    },
    "strict": True,
    "defer_loading": True,
}
_SEARCHED: list[Json] = [
    {"type": "tool_search_call", "arguments": {"paths": ["get_exchange_rate"]}, **_OF_THE_VENDOR},
    {"type": "tool_search_output", "tools": [_FOUND], **_OF_THE_VENDOR},
]


def same(recording: Recording, sent: list[Json]) -> list[Json]:
    """`sent` without what says nothing on this wire, or says it in one of two ways."""
    return [_SAME[recording.dialect](message) for message in sent]


def _anthropic(message: Json) -> Json:
    """Marks for the cache are the client's choice, a string is a list of one text, and no error is the default."""
    blocks = [_without(block, cache_control=..., is_error=False) for block in message["content"]]
    for block in blocks:
        match block:
            case {"type": "tool_result", "content": [{"type": "text", "text": said}]}:
                block["content"] = said
            case _:
                pass
    return {**message, "content": blocks}


def _bedrock(message: Json) -> Json:
    """Marks for the cache are the client's choice, and success is the default."""
    blocks = [block for block in message["content"] if "cachePoint" not in block]
    results = [{"toolResult": _without(b["toolResult"], status="success")} if "toolResult" in b else b for b in blocks]
    return {**message, "content": results}


def _chat_completions(message: Json) -> Json:
    """Null is no content."""
    return _without(message, content=None)


def _gemini(message: Json) -> Json:
    """A call without an id gets one of the client's; base64 has two alphabets; a function's own output may have any
    name.
    """
    parts: list[Json] = []
    for part in message["parts"]:
        part = {kind: dict(value) if isinstance(value, dict) else value for kind, value in part.items()}
        for value in part.values():
            if isinstance(value, dict) and re.match("pyd_ai_|call_", value.get("id", "")):
                del value["id"]
        if signature := part.get("thoughtSignature"):
            part["thoughtSignature"] = signature.replace("-", "+").replace("_", "/")
        if response := part.get("functionResponse"):
            response["response"] = [*response["response"].values()]
        parts.append(part)
    return {**message, "parts": parts}


def _openai_responses(item: Json) -> Json:
    """Only reasoning needs its id where nothing is stored; null is no encrypted content; what the assistant said may
    be a string, and was recorded with straight quotes; that client puts its own mark before ids that a vendor uses
    again.
    """
    item = _without(item, status="completed", encrypted_content=None)
    if item["type"] != "reasoning":
        item.pop("id", None)
    match item:
        case {"type": "message", "content": [{"type": "output_text", "text": said, "annotations": []}]}:
            item["content"] = said
        case {"type": "message", "content": str(said)}:
            item["content"] = said.translate(_STRAIGHT)
        case {"call_id": str(call_id)}:
            item["call_id"] = call_id.rpartition(":")[2]
        case _:
            pass
    return item


_STRAIGHT = {0x2019: "'", 0x201C: '"', 0x201D: '"'}
_SAME: dict[str, Callable[[Json], Json]] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "chat_completions": _chat_completions,
    "gemini": _gemini,
    "openai_responses": _openai_responses,
}


def _without(value: Json, **said: object) -> Json:
    """`value` without the fields that say this; `...` is anything."""
    return {name: each for name, each in value.items() if name not in said or said[name] not in (..., each)}
