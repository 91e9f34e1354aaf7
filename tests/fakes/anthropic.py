"""A fake upstream that speaks Anthropic's Messages API.

Its rules are those of the model that is asked for, by its name before the directive. Directives know two values
more: `redacted=1`, thinking comes as `redacted_thinking`; and in the scenario `tools`, `stop`: why a turn with calls
stops.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress

from tests.fakes.anthropic_rules import THOUGHT_CALL, blocks_of, check, model_of, prefix, signature_of, thinks
from tests.fakes.prompt_cache import Part, PromptCache, Used
from tests.fakes.server import main
from tests.fakes.wire import Asked, Body, Reason, Received, Rules, Script, Stream, Tool, Wire, need, tokens_of

STOP = {"stop": "end_turn", "tools": "tool_use", "length": "max_tokens", "filter": "refusal"}
ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
COUNTED = {*("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"), "cache_control"}
ASKED_LIMITS = 8192
"""A `max_tokens` from here on is what our client sends where nothing was asked for."""


class Messages(Wire):
    model = "claude-opus-5-5"
    settings = {"options": {"drop_stale_thinking": False}}  # so that none gets stale unnoticed

    def serves(self, path: str) -> bool:
        return path.endswith("/messages")

    def check(self, request: Received) -> None:
        check(request.headers, request.body, self.rules)

    def read(self, request: Received) -> Asked:
        body, messages = request.body, request.body["messages"]
        contents = [(message["role"], blocks_of(message["content"])) for message in messages]
        said = [i for i, (role, blocks) in enumerate(contents) if role == "user" and _text(blocks)]
        start = said[-1] if said else -1
        since = [block for _, blocks in contents[start + 1 :] for block in blocks]
        everything = [block for _, blocks in contents for block in blocks]
        return Asked(
            model=body["model"],
            user=_text(contents[start][1]) if said else "",
            tools=[
                Tool(tool["name"], tool["input_schema"]) for tool in body.get("tools", ()) if "input_schema" in tool
            ],
            outputs=[_text(blocks_of(b.get("content", ""))) for b in since if b["type"] == "tool_result"],
            calls=sum(block["type"] == "tool_use" for block in since),
            all_calls=sum(block["type"] == "tool_use" for block in everything),
            limit=body["max_tokens"] if body["max_tokens"] < ASKED_LIMITS else None,
            schema=_schema(body),
            thinks=thinks(body),
        )

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.cache = PromptCache()

    def stream(self, request: Received, asked: Asked, script: Script) -> Stream:
        return Events(request, asked, script, self.cache.use(asked.model, _parts(request.body)))

    def counts(self, path: str) -> bool:
        return path.endswith("/messages/count_tokens")

    def count(self, request: Received) -> Body:
        """The fields of anthropic.types.MessageCountTokensParams; the answer is its MessageTokensCount."""
        for name in request.body:
            need(name in COUNTED, f"{name}: Extra inputs are not permitted")
        check(request.headers, {**request.body, "max_tokens": model_of(request.body).limit, "stream": True}, self.rules)
        return {"input_tokens": tokens_of(request.body)}

    def too_long(self, tokens: int, window: int) -> tuple[int, str, str | None]:
        """anthropics/claude-code#12186."""
        return 400, f"prompt is too long: {tokens} tokens > {window} maximum", None

    def error(self, status: int, message: str, code: str | int | None = None) -> Body:
        kind = ERRORS.get(status, "invalid_request_error" if status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}

    def error_headers(self, status: int) -> Mapping[str, str]:
        return {"request-id": "req_fake"}

    def models(self) -> Body:
        model = {"type": "model", "id": self.model, "display_name": "Fake", "created_at": "2026-01-01T00:00:00Z"}
        return {"data": [model], "has_more": False, "first_id": self.model, "last_id": self.model}


class Events(Stream):
    def __init__(self, request: Received, asked: Asked, script: Script, used: Used) -> None:
        super().__init__(request, asked, script)
        self._used = used
        thinking = request.body.get("thinking", {})
        shown = thinking.get("display", "summarized" if model_of(request.body).shown else "omitted")
        self._shown = shown == "summarized"
        self._index = -1
        self._open = ""
        self._thought: list[str] = []
        self._said: list[Body] = []
        self._has_thought = False

    def begin(self) -> bytes:
        read, written, new = self._used
        usage = {"input_tokens": new, "cache_creation_input_tokens": written, "cache_read_input_tokens": read}
        message = {
            "id": "msg_fake",
            "type": "message",
            "role": "assistant",
            "model": self.asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage, "output_tokens": 1},
        }
        return _event("message_start", message=message) + _event("ping")

    def think(self, word: str) -> bytes:
        if self.script.number("redacted", 0):
            self._thought.append(word)
            self._open = "redacted_thinking"
            return b""
        opened = self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self._thought.append(word)
        return opened + (self._delta("thinking_delta", thinking=word) if self._shown else b"")

    def say(self, word: str) -> bytes:
        opened = self._begin("text", {"type": "text", "text": ""})
        self._said[-1]["text"] += word
        return opened + self._delta("text_delta", text=word)

    def refuse(self, word: str) -> bytes:
        return self.say(word)

    def call(self, index: int, call_id: str, name: str, arguments: str) -> Iterable[bytes]:
        closed = self._close()
        call_id = f"{THOUGHT_CALL if self._has_thought else 'toolu_'}{call_id}"
        block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        yield closed + self._begin("tool_use", block)
        with suppress(ValueError):  # of arguments that are cut
            self._said[-1]["input"] = json.loads(arguments)
        for start in range(0, len(arguments), 8):
            yield self._delta("input_json_delta", partial_json=arguments[start : start + 8])

    def end(self, reason: Reason) -> bytes:
        usage = {"output_tokens": self.words, "output_tokens_details": {"thinking_tokens": self.thoughts}}
        delta = {"stop_reason": self._stop(reason), "stop_sequence": None, "stop_details": None}
        return self._close() + _event("message_delta", delta=delta, usage=usage) + _event("message_stop")

    def _stop(self, reason: Reason) -> str:
        return self.script.values.get("stop", STOP[reason]) if reason == "tools" else STOP[reason]

    def fail(self, code: int, message: str) -> bytes:
        kind = ERRORS.get(code, "invalid_request_error" if code == 400 else "api_error")
        return _event("error", error={"type": kind, "message": message})

    def garbage(self) -> bytes:
        return b"event: content_block_delta\ndata: {not json\n\n"

    def _begin(self, kind: str, block: Body) -> bytes:
        if self._open == kind != "tool_use":
            return b""
        closed = self._close()
        self._open = kind
        self._index += 1
        if kind != "thinking":
            self._said.append(dict(block))
        return closed + _event("content_block_start", index=self._index, content_block=block)

    def _close(self) -> bytes:
        kind, self._open = self._open, ""
        if not kind:
            return b""
        last = b""
        if kind.endswith("thinking"):
            thought, self._thought = "".join(self._thought), []
            self._has_thought = True
            if kind == "redacted_thinking":
                block = {"type": kind, "data": self._signature("redacted")}
                self._index += 1
                last = _event("content_block_start", index=self._index, content_block=block)
            else:
                last = self._delta("signature_delta", signature=self._signature(thought if self._shown else ""))
        return last + _event("content_block_stop", index=self._index)

    def _signature(self, text: str) -> str:
        body = self.request.body
        here = {**body, "messages": [*body["messages"], {"role": "assistant", "content": self._said}]}
        return signature_of(text, prefix(here, len(body["messages"]), len(self._said)))

    def _delta(self, kind: str, **fields: object) -> bytes:
        return _event("content_block_delta", index=self._index, delta={"type": kind, **fields})


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def _parts(body: Body) -> list[Part]:
    def part(block: Body) -> Part:
        kind = block.get("type", "")
        plain = {name: each for name, each in block.items() if name != "cache_control"}
        return Part(plain, "cache_control" in block, kind if kind in ("tool_use", "tool_result") else "")

    settings = {name: body.get(name) for name in ("tool_choice", "thinking")}
    contents = [block for message in body["messages"] for block in blocks_of(message["content"])]
    first = [part(each) for each in (*body.get("tools", ()), *blocks_of(body.get("system", [])))]
    return [*first, *(each._replace(value=[settings, each.value]) for each in map(part, contents))]


def _text(blocks: list[Body]) -> str:
    return " ".join(block["text"] for block in blocks if block["type"] == "text")


def _schema(body: Body) -> Body | None:
    """The asked JSON's: enforced, or told in the instructions; without one, any object's."""
    if form := body.get("output_config", {}).get("format"):
        return form["schema"]
    told = _text(blocks_of(body.get("system", "")))
    if "fit this schema:\n" in told:
        return json.loads(told.rpartition("fit this schema:\n")[2])
    return {} if "Answer with one JSON object" in told else None


WIRE = Messages

if __name__ == "__main__":
    main(Messages)
