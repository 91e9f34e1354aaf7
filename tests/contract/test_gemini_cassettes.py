"""What only Gemini has to check of its cassettes: Google's own types, and that what came goes back as it came."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.schema.request import CreateResponse
from tests.contract.cassettes import Cassette, answers, load, names, replayed
from tests.contract.gemini_types import check_chunk, check_request


@pytest.mark.parametrize("name", names("gemini"))
def test_what_goes_over_the_wire_is_valid_by_the_types_of_google_s_own_sdk(name: str) -> None:
    cassette = load("gemini", name)
    check_request(cassette.expected["sent"])
    for chunk in chunks_of(cassette):
        if "error" not in chunk:
            check_chunk(chunk)


async def returned(cassette: Cassette) -> list[Any]:
    """The parts of the model's last content, in the request after this one."""
    run, _ = await replayed(cassette)
    said = [*cassette.request.input] if isinstance(cassette.request.input, list) else []
    items = [*(item.model_dump(mode="json") for item in said), *run.response.model_dump(mode="json")["output"]]
    calls = [item["call_id"] for item in run.response.model_dump()["output"] if item["type"] == "function_call"]
    outputs = [{"type": "function_call_output", "call_id": call_id, "output": "ok"} for call_id in calls]
    question = [] if said else [{"role": "user", "content": cassette.request.input}]
    more = {"role": "user", "content": "And now?"}
    again = {**cassette.expected["request"], "input": [*question, *items, *outputs, *([] if calls else [more])]}
    sent = replace(cassette, request=CreateResponse.model_validate(again)).sent()
    check_request(sent)
    models = [content for content in sent["contents"] if content["role"] == "model"]
    return models[-1]["parts"] if models else []


@pytest.mark.parametrize("name", answers("gemini"))
async def test_what_came_goes_back_as_it_came(name: str) -> None:
    """All parts but thoughts, which are summaries: the texts joined, and every signature on its own part."""
    cassette = load("gemini", name)
    assert flat(await returned(cassette)) == flat(parts_of(cassette))


signed = st.sampled_from(["", "c2lnbmVk", "YWdhaW4="]).map(lambda s: {"thoughtSignature": s} if s else {})
text = st.sampled_from(["", "a", "é"]).map(lambda words: {"text": words})
kinds = st.one_of(
    text,
    text.map(lambda part: {**part, "thought": True}),
    st.just({"functionCall": {"name": "f", "args": {}}}),
    st.just({"executableCode": {"language": "PYTHON", "code": "1"}}),
)
chunks = st.lists(st.lists(st.builds(lambda a, b: {**a, **b}, kinds, signed), max_size=3), max_size=4)


@given(chunks)
async def test_whatever_comes_goes_back_as_it_came(each: list[list[Any]]) -> None:
    request = {"model": "gemini-2.5-flash", "input": "Hi", "tools": [{"type": "function", "name": "f"}]}
    candidates = [{"content": {"parts": parts}} for parts in each] + [{"finishReason": "STOP"}]
    events = [f"data: {json.dumps({'candidates': [candidate]})}\n\n" for candidate in candidates]
    cassette = replace(
        load("gemini", "text"),
        wire=tuple(event.encode() for event in events),
        request=CreateResponse.model_validate(request),
        expected={"request": request},
    )
    assert flat(await returned(cassette)) == flat(parts_of(cassette))


def chunks_of(cassette: Cassette) -> list[Any]:
    return [json.loads(event.data) for event in cassette.sse()]


def parts_of(cassette: Cassette) -> list[dict[str, Any]]:
    candidates = [each for chunk in chunks_of(cassette) for each in chunk.get("candidates", ())]
    parts = [part for each in candidates for part in each.get("content", {}).get("parts", ())]
    if not parts and (message := next((each.get("finishMessage") for each in candidates), None)):
        return [{"text": message}]
    blocked = [chunk.get("promptFeedback") for chunk in chunks_of(cassette)]
    return parts or [{"text": f"The prompt was blocked: {each['blockReason']}"} for each in blocked if each]


def flat(parts: list[dict[str, Any]]) -> list[Any]:
    """Without what may differ: where unsigned text is cut, unsigned thoughts, and ids that were made for calls."""
    made: list[Any] = []
    for part in parts:
        if part.get("thought") and "thoughtSignature" not in part:
            continue
        if part.keys() == {"text"}:
            if made and isinstance(made[-1], str):
                made[-1] += part["text"]
            elif part["text"]:
                made.append(part["text"])
        else:
            call = part.get("functionCall")
            made.append({**part, "functionCall": {**call, "id": None}} if call else part)
    return made
