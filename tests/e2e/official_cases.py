"""The 17 cases of the official suite: what each sends, and what it asks of the answers.

After `src/lib/compliance-tests.ts` of openresponses.org's repository, in July 2026: its ids, its requests, its
validators, and how its runner reads a socket. A turn ends at the first terminal event or `error` frame, and the next
message goes out at once. Beyond it, a turn's frames are held to be a whole stream, and its number of turns is checked.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from openresponses.schema.response import Response
from tests.openresponses_schema import check_compacted, check_event, check_frame, check_response
from tests.stream_checker import TERMINAL, check_stream

Json = dict[str, Any]
Turn: TypeAlias = list[Json]
Message: TypeAlias = Json | Callable[[list[Turn]], Json]

TURN_S = 30.0
"""For how long the suite's runner waits for the end of a turn."""
HEART = (  # the suite's: a red heart on white
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAABmklEQVR42tyWAaTyUBzFew/eG4AHz+MBSAHKBiJRGFKwIg"
    "QQJKLUIioBIhCAiCAAEizAQIAECaASqFFJq84nudjnaqvuPnxzgP9xfrq5938csPn7PwHTKSoViCIEAYEAMhmoKsU2mUCWEQqB5xEMIp/HaGQG2G6RSuH"
    "9HQ7H34rFrtPbdz4jl6PbwmEsl3QA1mt4vcRKk8dz9eg6IpF7tt9fzGY0gCgafFRFo5Blc5vLhf3eCOj1yNhM5GRMVK0aATxPZoz09YXjkQDmczJgquGQ"
    "APp9WwCNBgG027YACgUC6HRsAZRKBDAY2AJoNv/ZnwzA6WScznG3p4UAymXGAEkyXrTFAh8fLAGqagQAyGaZpYsi7bHTNPz8MEj//LxuFPo+UBS8vb0Ka"
    "LXubrRa7aX0RMLCykwmn0z3+XA4WACcTpCkh9MFAZpmuVXo+mO/w+/HZvNgbblcUCxaSo/Hyck80Yu6XXDcvfVZr79cvMZjuN2U9O9vKAqjZrfbIZ0mV4"
    "TUi9Xqz6jddNy//7+e3n8Fhf/Llo2kxi8AQyGRoDkmAhAAAAAASUVORK5CYII="
)
WEATHER: Json = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}},
        "required": ["location"],
    },
}


@dataclass(frozen=True)
class Server:
    """Under test. `base_url` ends with /v1."""

    base_url: str
    api_key: str
    model: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Authorization": f"Bearer {self.api_key}"}

    async def post(self, path: str, body: Json) -> httpx2.Response:
        async with httpx2.AsyncClient(headers=self.headers, timeout=TURN_S) as client:
            return await client.post(self.base_url + path, json=body)

    async def socket(self, *messages: Message) -> list[Turn]:
        """The frames of each turn, on a connection of its own. A message may be made from the turns before it."""
        turns: list[Turn] = []
        address = self.base_url.replace("http", "ws", 1) + "/responses"
        async with connect(address, additional_headers=self.headers, open_timeout=TURN_S) as socket:
            for each in messages:
                message = each(turns) if callable(each) else each
                await socket.send(json.dumps({"type": "response.create", "model": self.model, **message}))
                turns.append(await asyncio.wait_for(_turn(socket), TURN_S))
        return turns


async def _turn(socket: ClientConnection) -> Turn:
    frames: Turn = []
    while not frames or frames[-1]["type"] not in (*TERMINAL, "error"):
        data = await socket.recv()
        assert isinstance(data, str), "a binary frame"
        frames.append(json.loads(data))
        check_frame(frames[-1])
    return frames


def message(role: str, content: Any, **more: Any) -> Json:
    return {"type": "message", "role": role, "content": content, **more}


def whole(frames: Turn) -> Json:
    """The completed response at the end of a turn that is a whole stream. Deltas that were sent as one have the number
    of the last of them.
    """
    numbers = [frame["sequence_number"] for frame in frames]
    for (before, after), frame in zip(pairwise([-1, *numbers]), frames, strict=True):
        assert after == before + 1 or (after > before and frame["type"].endswith(".delta")), numbers
    return completed(check_stream([{**frame, "sequence_number": n} for n, frame in enumerate(frames)]))


def completed(response: Json) -> Json:
    check_response(response)
    assert response["status"] == "completed"
    assert response["output"], "no output"
    return response


def refused(frames: Turn) -> Json:
    """The error of a turn that was refused: one frame, and nothing before it."""
    assert [frame["type"] for frame in frames] == ["error"], frames
    return frames[0]["error"]


async def answer(server: Server, content: Any, *before: Json, **more: Any) -> Json:
    """Of a plain request."""
    body = {"model": server.model, "input": [*before, message("user", content)], **more}
    answered = await server.post("/responses", body)
    assert answered.status_code == 200, answered.text
    return completed(answered.json())


async def basic_response(server: Server) -> None:
    await answer(server, "Say hello in exactly 3 words.")


async def assistant_phase(server: Server) -> None:
    thought = message("assistant", "I should answer with the saved number.", phase="commentary")
    said = message("assistant", "The number is four.", phase="final_answer")
    await answer(server, "Repeat only the number.", thought, said)


async def response_output_phase_schema(server: Server) -> None:
    """No request: the suite holds a response with phases to its schema. Ours reads one, and gives it back."""
    text = {"type": "output_text", "text": "Four.", "annotations": [], "logprobs": []}
    phases = ["commentary", "final_answer"]
    said = [message("assistant", [text], id=f"msg_{phase}", status="completed", phase=phase) for phase in phases]
    response = Response.model_validate({
        "id": "resp_phase_schema", "created_at": 1764967971, "completed_at": 1764967972, "model": server.model,
        "status": "completed", "output": said,
    })  # fmt: skip
    shown = completed(json.loads(response.model_dump_json()))
    assert [item["phase"] for item in shown["output"]] == phases


async def streaming_response(server: Server) -> None:
    body = {"model": server.model, "input": [message("user", "Count from 1 to 5.")], "stream": True}
    answered = await server.post("/responses", body)
    data = [line.removeprefix("data:").strip() for line in answered.text.splitlines() if line.startswith("data:")]
    events = [json.loads(each) for each in data if each != "[DONE]"]
    for event in events:
        check_event(event)
    completed(check_stream(events))


async def websocket_response(server: Server) -> None:
    (turn,) = await server.socket({"input": [message("user", "Count from 1 to 3.")]})
    whole(turn)


async def websocket_sequential_responses(server: Server) -> None:
    said = ({"store": False, "input": f"Reply with exactly: {word}"} for word in ("first", "second"))
    first, second = map(whole, await server.socket(*said))
    assert first["id"] != second["id"]


def continuing(turn: Turn, text: Any) -> Json:
    return {"store": False, "previous_response_id": whole(turn)["id"], "input": text}


def going_on(text: Any) -> Message:
    """A message that continues the first turn of its connection."""
    return lambda turns: continuing(turns[0], text)


async def websocket_continuation(server: Server) -> None:
    first, second = await server.socket(
        {"store": False, "input": "Remember the code word: cobalt. Reply with OK."},
        going_on("What is the code word? Reply with only the code word."),
    )
    assert whole(second)["previous_response_id"] == whole(first)["id"]


async def websocket_reconnect_store_false_recovery(server: Server) -> None:
    (first,) = await server.socket({"store": False, "input": "Remember the code word: copper. Reply with OK."})
    missed, recovered = await server.socket(
        continuing(first, "Try to continue after reconnect. Reply with exactly: reconnected"),
        {"store": False, "input": [message("user", "Start a new response and reply with exactly: recovered")]},
    )
    assert refused(missed)["code"] == "previous_response_not_found"
    assert whole(recovered)["previous_response_id"] is None


async def websocket_previous_response_not_found(server: Server) -> None:
    missing = f"resp_openresponses_missing_{time.time_ns() // 1_000_000}"
    (turn,) = await server.socket({"store": False, "previous_response_id": missing, "input": "This should fail."})
    assert refused(turn)["code"] == "previous_response_not_found"


async def websocket_failed_continuation_evicts_cache(server: Server) -> None:
    orphan = {"type": "function_call_output", "call_id": "call_openresponses_missing", "output": "No call matches."}
    first, failed, again = await server.socket(
        {"store": False, "input": "Remember the code word: ember. Reply with OK."},
        going_on([orphan]),
        going_on("Try to continue after the failed turn. Reply with exactly: stale"),
    )
    whole(first)
    refused(failed)
    assert refused(again)["code"] == "previous_response_not_found"


async def compacted(server: Server, *messages: Json, **more: Any) -> list[Json]:
    answered = await server.post("/responses/compact", {"model": server.model, "input": [*messages], **more})
    assert answered.status_code == 200, answered.text
    check_compacted(answered.json())
    output = answered.json()["output"]
    assert [item["type"] for item in output].count("compaction") == 1
    return output


async def websocket_compact_new_chain(server: Server) -> None:
    window = await compacted(
        server,
        message("user", [{"type": "input_text", "text": "Remember the compaction code word: slate."}]),
        message("assistant", [{"type": "output_text", "text": "OK."}]),
        message("user", [{"type": "input_text", "text": "Compress this conversation for later continuation."}]),
    )
    asked = message("user", "Continue from here. Reply with exactly: compacted")
    (turn,) = await server.socket({"store": False, "input": [*window, asked], "tools": []})
    whole(turn)


async def system_prompt(server: Server) -> None:
    await answer(server, "Say hello.", message("system", "You are a pirate. Always respond in pirate speak."))


async def tool_calling(server: Server) -> None:
    response = await answer(server, "What's the weather like in San Francisco?", tools=[WEATHER])
    assert "function_call" in [item["type"] for item in response["output"]]


async def image_input(server: Server) -> None:
    asked = {"type": "input_text", "text": "What do you see in this image? Answer in one sentence."}
    await answer(server, [asked, {"type": "input_image", "image_url": HEART}])


async def multi_turn(server: Server) -> None:
    said = message("assistant", "Hello Alice! Nice to meet you. How can I help you today?")
    await answer(server, "What is my name?", message("user", "My name is Alice."), said)


async def compact_response(server: Server) -> None:
    await compacted(
        server,
        message("user", "We agreed to launch on Tuesday and notify support first."),
        message("assistant", "Understood. The launch is Tuesday, with support notified beforehand."),
        prompt_cache_key="openresponses-compact-test",
    )


async def compact_missing_model(server: Server) -> None:
    answered = await server.post("/responses/compact", {"input": [message("user", "Compact this conversation.")]})
    assert answered.status_code in (400, 422)
    assert answered.json()["error"]["param"] == "model"


CASES: dict[str, Callable[[Server], Awaitable[None]]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        basic_response,
        assistant_phase,
        response_output_phase_schema,
        streaming_response,
        websocket_response,
        websocket_sequential_responses,
        websocket_continuation,
        websocket_reconnect_store_false_recovery,
        websocket_previous_response_not_found,
        websocket_failed_continuation_evicts_cache,
        websocket_compact_new_chain,
        system_prompt,
        tool_calling,
        image_input,
        multi_turn,
        compact_response,
        compact_missing_model,
    )
}
