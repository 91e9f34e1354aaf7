"""A fake upstream that speaks Bedrock's ConverseStream, down to the frames of its binary event stream, and Converse.

It stands in for Anthropic's models, those with the most to refuse: older ones think within a budget, newer adaptively.
And for Llama 4, which takes tools in Converse only. The scenario `tools` knows one value more: `stop`, why a turn with
calls stops.
"""

import json
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from tests.fakes.bedrock_claude import signature_of
from tests.fakes.bedrock_frames import event, exception
from tests.fakes.bedrock_rules import check
from tests.fakes.bedrock_shapes import problems
from tests.fakes.prompt_cache import Part, PromptCache, Used
from tests.fakes.server import main
from tests.fakes.wire import Asked, Body, Reason, Received, Rules, Script, Stream, Tool, Wire, need, tokens_of

STOPS = {"stop": "end_turn", "tools": "tool_use", "length": "max_tokens", "filter": "content_filtered"}
ERRORS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


class Bedrock(Wire):
    base = ""
    settings = {"api_key": "bedrock-api-key-fake"}
    model = "global.anthropic.claude-opus-4-6-v1"
    content_type = "application/vnd.amazon.eventstream"

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self._thought: set[str] = set()
        self.cache = PromptCache()

    def serves(self, path: str) -> bool:
        return path.startswith("/model/") and path.endswith(("/converse", "/converse-stream"))

    def check(self, request: Received) -> None:
        model = _model(request).partition("!")[0]
        check(request.headers, model, request.body, self.rules, self._thought, streamed=_is_streamed(request))

    def read(self, request: Received) -> Asked:
        body, messages = request.body, request.body["messages"]
        start = max((i for i, message in enumerate(messages) if _is_said(message)), default=-1)
        since, everything = _blocks(messages[start + 1 :]), _blocks(messages)
        specs = [tool["toolSpec"] for tool in body.get("toolConfig", {}).get("tools", ()) if "toolSpec" in tool]
        form = body.get("outputConfig", {}).get("textFormat")
        thinking = body.get("additionalModelRequestFields", {}).get("thinking", {})
        budget = thinking.get("budget_tokens")
        return Asked(
            model=_model(request),
            user=_text(messages[start]["content"]) if start >= 0 else "",
            tools=[Tool(spec["name"], spec["inputSchema"]["json"]) for spec in specs],
            outputs=[_text(block["toolResult"]["content"]) for block in since if "toolResult" in block],
            calls=sum("toolUse" in block for block in since),
            all_calls=sum("toolUse" in block for block in everything),
            limit=None if budget else body.get("inferenceConfig", {}).get("maxTokens"),
            schema=json.loads(form["structure"]["jsonSchema"]["schema"]) if form else None,
            thinks=thinking.get("type") in ("enabled", "adaptive"),
        )

    def stream(self, request: Received, asked: Asked, script: Script) -> Stream:
        used = self.cache.use(asked.model, _parts(request.body))
        kind = Events if _is_streamed(request) else Answer
        return kind(request, asked, script, self._thought, used)

    def counts(self, path: str) -> bool:
        return path.startswith("/model/") and path.endswith("/count-tokens")

    def count(self, request: Received) -> Body:
        """botocore's CountTokens. It takes the ids of models alone, and not of all (pydantic/pydantic-ai#3367)."""
        model = _model(request).partition("!")[0]
        found = problems(request.body, model, "CountTokens")
        need(not found, f"{len(found)} validation error detected: {'; '.join(found)}")
        need(model.startswith("anthropic."), "The provided model doesn't support counting tokens.")
        check(request.headers, model, request.body["input"]["converse"], self.rules, self._thought)
        return {"inputTokens": tokens_of(request.body)}

    def too_long(self, tokens: int, window: int) -> tuple[int, str, str | None]:
        """aws-samples/bedrock-chat#95."""
        return 400, "Input is too long for requested model.", None

    def error(self, status: int, message: str, code: str | int | None = None) -> Body:
        return {"message": message}

    def error_headers(self, status: int) -> Mapping[str, str]:
        name = ERRORS.get(status, "InternalServerException")
        return {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}


class Events(Stream):
    """Blocks are numbered as they come. Only a call's begin is told. `thought` gathers ids of calls after reasoning."""

    def __init__(self, request: Received, asked: Asked, script: Script, thought: set[str], used: Used) -> None:
        super().__init__(request, asked, script)
        self._used = used
        self._calls_after = thought
        self._index = 0
        self._kind = ""
        self._thought = ""

    def begin(self) -> bytes:
        return event("messageStart", {"role": "assistant", "p": "abc"})

    def think(self, word: str) -> bytes:
        self._thought += word
        return self._in("reasoning") + self._delta({"reasoningContent": {"text": word}})

    def say(self, word: str) -> bytes:
        return self._in("text") + self._delta({"text": word})

    def refuse(self, word: str) -> bytes:
        return self.say(word)

    def call(self, index: int, call_id: str, name: str, arguments: str) -> Iterable[bytes]:
        if self.thoughts:
            self._calls_after.add(call_id)
        start = {"toolUse": {"toolUseId": call_id, "name": name}}
        yield self._in(f"call {index}") + event("contentBlockStart", {"contentBlockIndex": self._index, "start": start})
        for at in range(0, len(arguments), 8):
            yield self._delta({"toolUse": {"input": arguments[at : at + 8]}})

    def end(self, reason: Reason) -> bytes:
        metadata = {"usage": self.usage(), "metrics": {"latencyMs": 1}, "p": "abcdef"}
        return self._in("") + event("messageStop", {"stopReason": self.stop(reason)}) + event("metadata", metadata)

    def fail(self, code: int, message: str) -> bytes:
        name = ERRORS.get(code, "InternalServerException")
        return exception(name[0].lower() + name[1:], {"message": message})

    def garbage(self) -> bytes:
        whole = self._delta({"text": "garbage"})
        return whole[:-1] + bytes([whole[-1] ^ 1])

    def stop(self, reason: Reason) -> str:
        return self.script.values.get("stop", STOPS[reason]) if reason == "tools" else STOPS[reason]

    def usage(self) -> Body:
        read, written, new = self._used
        used = {"inputTokens": new, "outputTokens": self.words, "totalTokens": new + read + written + self.words}
        return {**used, "cacheReadInputTokens": read, "cacheWriteInputTokens": written}

    def _delta(self, delta: Body) -> bytes:
        return event("contentBlockDelta", {"contentBlockIndex": self._index, "delta": delta, "p": "abcdefgh"})

    def _in(self, kind: str) -> bytes:
        """What ends the block before, where it was another one."""
        if kind == self._kind:
            return b""
        before, self._kind = self._kind, kind
        if not before:
            return b""
        last = b""
        if before == "reasoning":
            body = self.request.body
            signature = signature_of(self._thought, body, len(body["messages"]))
            last = self._delta({"reasoningContent": {"signature": signature}})
            self._thought = ""
        last += event("contentBlockStop", {"contentBlockIndex": self._index, "p": "ab"})
        self._index += 1
        return last


class Answer(Events):
    """Converse's: one JSON object, sent when it is whole. Only models that don't reason are asked for it."""

    content_type = "application/json"

    def __init__(self, request: Received, asked: Asked, script: Script, thought: set[str], used: Used) -> None:
        super().__init__(request, asked, script, thought, used)
        self._content: list[Body] = []

    def begin(self) -> bytes:
        return b""

    def say(self, word: str) -> bytes:
        if not self._content or "text" not in self._content[-1]:
            self._content.append({"text": ""})
        self._content[-1]["text"] += word
        return b""

    def call(self, index: int, call_id: str, name: str, arguments: str) -> Iterable[bytes]:
        call = {"toolUseId": call_id, "name": name, "input": json.loads(arguments)}
        self._content.append({"toolUse": call})
        yield b""

    def end(self, reason: Reason) -> bytes:
        message = {"role": "assistant", "content": self._content}
        whole = {"output": {"message": message}, "stopReason": self.stop(reason), "usage": self.usage()}
        return json.dumps({**whole, "metrics": {"latencyMs": 1}}).encode()

    def fail(self, code: int, message: str) -> bytes:
        return self.garbage()

    def garbage(self) -> bytes:
        return self.end("stop")[:-1]


def _is_streamed(request: Received) -> bool:
    return request.path.endswith("/converse-stream")


def _model(request: Received) -> str:
    return unquote(request.path.removeprefix("/model/").partition("/")[0])


def _is_said(message: Body) -> bool:
    """It may begin with the results of the calls before it."""
    return message["role"] == "user" and any("text" in block for block in message["content"])


def _blocks(messages: Iterable[Body]) -> list[Body]:
    return [block for message in messages for block in message["content"]]


def _parts(body: Body) -> list[Part]:
    """A cache point marks what is before it."""
    config = body.get("toolConfig", {})
    parts: list[Part] = []
    for settings, blocks in (
        (None, config.get("tools", [])),
        (None, body.get("system", [])),
        ([config.get("toolChoice"), body.get("additionalModelRequestFields")], _blocks(body["messages"])),
    ):
        for block in blocks:
            if "cachePoint" in block:
                parts[-1] = parts[-1]._replace(marked=True)
            else:
                kind = next((kind for kind in ("toolUse", "toolResult") if kind in block), "")
                parts.append(Part([settings, block], kind=kind))
    return parts


def _text(blocks: Iterable[Body]) -> str:
    return " ".join(block["text"] for block in blocks if "text" in block)


WIRE = Bedrock

if __name__ == "__main__":
    main(Bedrock)
