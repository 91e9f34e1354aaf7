"""A fake upstream that speaks Chat Completions over SSE.

Where it reasons, it signs the first of a turn's calls, as Gemini does at its OpenAI-compatible endpoint ("Thought
signatures", Gemini API): the signature must come back on that call.

Directives know two values more: `field`, that reasoning comes in (`reasoning_content`), and `done=0`, which
leaves out `[DONE]`.
"""

import json
from collections.abc import Iterable

from tests.fakes.chat_completions_rules import DIALECT, check
from tests.fakes.server import main
from tests.fakes.wire import Asked, Body, Reason, Received, Script, Stream, Tool, Wire, sign

FINISH = {"stop": "stop", "tools": "tool_calls", "length": "length", "filter": "content_filter"}


class ChatCompletions(Wire):
    def serves(self, path: str) -> bool:
        return path.endswith("/chat/completions")

    def check(self, request: Received) -> None:
        check(request.headers, request.body, self.rules)

    def read(self, request: Received) -> Asked:
        body, messages = request.body, request.body["messages"]
        start = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=-1)
        since = messages[start + 1 :]
        functions = [tool["function"] for tool in body.get("tools", ())]
        form = body.get("response_format")
        return Asked(
            model=body["model"],
            user=_text(messages[start]["content"]) if start >= 0 else "",
            tools=[Tool(function["name"], function.get("parameters", {})) for function in functions],
            outputs=[message["content"] for message in since if message["role"] == "tool"],
            calls=sum(len(message.get("tool_calls", ())) for message in since),
            all_calls=sum(len(message.get("tool_calls", ())) for message in messages),
            limit=body.get("max_tokens") or body.get("max_completion_tokens"),
            schema=form.get("json_schema", {}).get("schema", {}) if form else None,
        )

    def stream(self, request: Received, asked: Asked, script: Script) -> Stream:
        return Chunks(request, asked, script)

    def error(self, status: int, message: str, code: str | int | None = None) -> Body:
        kind = "requests" if status == 429 else "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class Chunks(Stream):
    """A completion's chunks. A word is written from a template that is encoded once."""

    def __init__(self, request: Received, asked: Asked, script: Script) -> None:
        super().__init__(request, asked, script)
        head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1700000000}
        self._head = json.dumps({**head, "model": asked.model, "choices": []})[:-2].encode()
        self._thought = script.values.get("field", "reasoning_content")

    def begin(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def think(self, word: str) -> bytes:
        return self._word(self._thought, word)

    def say(self, word: str) -> bytes:
        return self._word("content", word)

    def refuse(self, word: str) -> bytes:
        return self._word("refusal", word)

    def call(self, index: int, call_id: str, name: str, arguments: str) -> Iterable[bytes]:
        function = {"name": name, "arguments": ""}
        call: Body = {"index": index, "id": call_id, "type": "function", "function": function}
        if self.thoughts and index == 0:
            call["extra_content"] = {"google": {"thought_signature": sign(DIALECT, call_id, name)}}
        yield self._chunk({"tool_calls": [call]})
        for start in range(0, len(arguments), 8):
            piece = {"index": index, "function": {"arguments": arguments[start : start + 8]}}
            yield self._chunk({"tool_calls": [piece]})

    def end(self, reason: Reason) -> bytes:
        last = self._chunk({}, FINISH[reason])
        if (self.request.body.get("stream_options") or {}).get("include_usage"):
            usage = {
                "prompt_tokens": self.prompt,
                "completion_tokens": self.words,
                "total_tokens": self.prompt + self.words,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": self.thoughts},
            }
            last += b"data: " + self._head + b'],"usage":' + json.dumps(usage).encode() + b"}\n\n"
        return last + (b"data: [DONE]\n\n" if self.script.number("done", 1) else b"")

    def fail(self, code: int, message: str) -> bytes:
        error = {"message": message, "type": "server_error", "code": code}
        return b"data: " + json.dumps({"error": error}).encode() + b"\n\n"

    def garbage(self) -> bytes:
        return b"data: {not json\n\n"

    def _word(self, name: str, word: str) -> bytes:
        return b'data: %b{"index":0,"delta":{"%b":%b},"logprobs":null,"finish_reason":null}]}\n\n' % (
            self._head,
            name.encode(),
            json.dumps(word).encode(),
        )

    def _chunk(self, delta: Body, finish: str | None = None) -> bytes:
        choice = json.dumps({"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}).encode()
        return b"data: " + self._head + choice + b"]}\n\n"


def _text(content: str | list[Body]) -> str:
    return content if isinstance(content, str) else " ".join(part["text"] for part in content if "text" in part)


WIRE = ChatCompletions

if __name__ == "__main__":
    main(ChatCompletions)
