"""Every recorded stream through its dialect, end to end: what clients read is held to what the stream means, and the
turn that we send back, to what another client sent back, and the vendor took."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from tests.conversations import ENCRYPTED, text_of, thoughts_of, user
from tests.recordings.asking import outputs_of, request_of
from tests.recordings.differences import MEANT, same
from tests.recordings.recordings import DIALECTS, TURNS, Json, Recording, found, recordings
from tests.recordings.replay import Replay, replaying
from tests.recordings.summary import COUNTED, LEFT_OUT

pytestmark = pytest.mark.skipif(not found(), reason=LEFT_OUT)
Record = Callable[[str, object], None]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_clients_read_what_the_vendor_said(dialect: str, stream: bool, record_property: Record) -> None:
    rows, wrong = recordings(dialect), list[str]()
    async with replaying(rows) as replay:
        for number, recording in enumerate(rows):
            response = await replay.ask(number, stream=stream, input=[user("Go on")], **request_of(recording))
            wrong += _differences(recording, _told(response), _meant(recording, response))
    _report(record_property, f"{dialect}, {'streamed' if stream else 'whole'}", rows, wrong)


@pytest.mark.parametrize("stored", [False, True], ids=["stateless", "stored"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_turn_goes_back_as_the_vendor_wants_it(dialect: str, stored: bool, record_property: Record) -> None:
    rows, wrong = [each for each in recordings(dialect) if each.sent_back], list[str]()
    async with replaying(rows) as replay:
        for number, recording in enumerate(rows):
            ours = same(recording, await _sent_back(replay, number, stored))
            meant = MEANT.get(recording.name)
            right = same(recording, meant.sent_back(recording.sent_back) if meant else recording.sent_back)
            wrong += _differences(recording, {"sent back": ours}, {"sent back": right})
    _report(record_property, f"{dialect}, sent back, {'stored' if stored else 'stateless'}", rows, wrong)


def _told(response: Json) -> Json:
    """What the client reads, in the words of `means`."""
    output = response.get("output", [])
    used = response.get("usage")
    return {
        "text": text_of(response) if output else "",
        "reasoning": "".join(thoughts_of(item) for item in output if item["type"] == "reasoning"),
        "calls": [
            {"name": item["name"], "arguments": json.loads(item["arguments"]), "id": item["call_id"]}
            for item in output
            if item["type"] == "function_call"
        ],
        "usage": used and _tokens(used),
        "finish": (response.get("incomplete_details") or {}).get("reason") or response.get("status"),
        "error": (response.get("error") or {}).get("message"),
    }


def _tokens(used: Json) -> Json:
    cached = used["input_tokens_details"]["cached_tokens"]
    return {"input": used["input_tokens"], "cached": cached, "output": used["output_tokens"]}


def _meant(recording: Recording, response: Json) -> Json:
    """What `means` says that it should be. A vendor that gave a call no id gets one of ours."""
    meant = MEANT.get(recording.name)
    means, told = recording.means | (meant.means if meant else {}), _told(response)
    ids = [call["id"] for call in told["calls"]]
    calls = [
        call | {"arguments": json.loads(call["arguments"]), "id": call["id"] or (ids[index : index + 1] or [""])[0]}
        for index, call in enumerate(means["calls"])
    ]
    finish = "max_output_tokens" if means["finish"] in ("length", "max_tokens") else "completed"
    expected = {**means, "calls": calls, "usage": means["usage"] or told["usage"], "finish": finish}
    if error := means["error"]:
        said = told["error"] or ""
        expected |= {"error": said if error["message"] in said else error["message"], "finish": "failed"}
        if "output" not in response:  # an error before the client saw anything is its whole answer
            expected |= {"text": "", "reasoning": "", "calls": [], "usage": None, "finish": None}
    return expected


async def _sent_back(replay: Replay, number: int, stored: bool) -> list[Json]:
    recording, said = replay.recordings[number], user("Go on")
    asked: Json = {**request_of(recording), "stream": stored, "store": stored, "include": [ENCRYPTED]}
    first = await replay.ask(number, input=[said], **asked)
    turns = TURNS[recording.dialect]
    before = len(replay.sent(number)[turns])
    calls = [item["call_id"] for item in first["output"] if item["type"] == "function_call"]
    answers = [
        {"type": "function_call_output", "call_id": call_id, "output": output}
        for call_id, output in zip(calls, outputs_of(recording), strict=True)
    ]
    context = {"previous_response_id": first["id"]} if stored else {}
    await replay.ask(number, input=answers if stored else [said, *first["output"], *answers], **context, **asked)
    return replay.sent(number)[turns][before:]


def _differences(recording: Recording, told: Json, meant: Json) -> list[str]:
    return [
        f"{recording.name}: {name}\n  told  {told[name]!r}\n  meant {meant[name]!r}"
        for name in told
        if told[name] != meant[name]
    ]


def _report(record_property: Record, what: str, rows: Sequence[Recording], wrong: list[str]) -> None:
    names = {difference.partition(": ")[0] for difference in wrong}
    record_property(COUNTED, (what, len(rows) - len(names), len(rows)))
    assert not wrong, "\n".join(wrong)
