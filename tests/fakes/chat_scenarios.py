"""What the fake upstream can be told to do. Each returns whether the connection can be used again."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.fakes.chat_reply import Body, Reply, Script, Stream, last_user_text


def instance(schema: Body) -> Any:
    """A smallest value that fits the schema."""
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: instance(properties.get(name, {})) for name in schema.get("required", properties)}
        case "array":
            return [instance(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
        case "string":
            return "x" * max(1, schema.get("minLength", 1))
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return None


def _tokens(count: int) -> list[str]:
    return [f"token{i} " for i in range(count)]


async def _text(script: Script, body: Body, reply: Reply) -> bool:
    stream = Stream(script, body, reply)
    await stream.begin()
    say = script.values.get("say")
    await stream.words("content", [f"{w} " for w in say.split()] if say else _tokens(script.number("tokens", 5)))
    return await stream.end()


async def _echo(script: Script, body: Body, reply: Reply) -> bool:
    stream = Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", [f"{word} " for word in last_user_text(body).split()])
    return await stream.end()


async def _tools(script: Script, body: Body, reply: Reply) -> bool:
    messages = body["messages"]
    start = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=-1) + 1
    parallel = script.number("parallel", 1)
    turn = sum(len(message.get("tool_calls", ())) for message in messages[start:]) // parallel
    tools = [tool["function"] for tool in body.get("tools", ())]
    stream = Stream(script, body, reply)
    await stream.begin()
    if turn >= script.number("turns", 1) or not tools:
        outputs = " ".join(m["content"] for m in messages[start:] if m["role"] == "tool")
        await stream.words("content", [f"{word} " for word in f"The tools said: {outputs}".split()])
        return await stream.end()
    for i in range(parallel):
        tool = tools[i % len(tools)]
        arguments = script.values.get("args") or json.dumps(instance(tool.get("parameters", {})))
        await stream.call(i, f"call_fake_{turn}_{i}", tool["name"], arguments)
    return await stream.end("tool_calls")


async def _json(script: Script, body: Body, reply: Reply) -> bool:
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    stream = Stream(script, body, reply)
    await stream.begin()
    text = json.dumps(instance(schema))
    await stream.words("content", [text[i : i + 6] for i in range(0, len(text), 6)])
    return await stream.end()


async def _refusal(script: Script, body: Body, reply: Reply) -> bool:
    stream = Stream(script, body, reply)
    await stream.begin()
    await stream.words("refusal", ["I can't ", "help with ", "that."])
    return await stream.end()


async def _length(script: Script, body: Body, reply: Reply) -> bool:
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or 5
    stream = Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", limit)))
    return await stream.end("length")


async def _filter(script: Script, body: Body, reply: Reply) -> bool:
    stream = Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", 3)))
    return await stream.end("content_filter")


async def _error(script: Script, body: Body, reply: Reply) -> bool:
    stream = Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", 3)))
    error = {"message": "The engine died", "type": "server_error", "code": script.number("code", 500)}
    return await stream.broken(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")


async def _cut(script: Script, body: Body, reply: Reply) -> bool:
    stream = Stream(script, body, reply, cut=script.number("bytes", 200))
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", 5)))
    return await stream.end()


async def _reset(script: Script, body: Body, reply: Reply) -> bool:
    reply.reset()
    return False


async def _stall(script: Script, body: Body, reply: Reply) -> bool:
    if (tokens := script.number("tokens", 3)) >= 0:
        stream = Stream(script, body, reply)
        await stream.begin()
        await stream.words("content", _tokens(tokens))
        await reply.flush()
    await reply.client_gone()
    return False


async def _garbage(script: Script, body: Body, reply: Reply) -> bool:
    stream = Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", _tokens(script.number("tokens", 3)))
    return await stream.broken(b"data: {not json\n\n")


async def _html(script: Script, body: Body, reply: Reply) -> bool:
    return await reply.whole(200, b"<html><body>Welcome!</body></html>", "text/html")


async def _object(script: Script, body: Body, reply: Reply) -> bool:
    code = script.number("code", 503)
    return await reply.json(200, {"error": {"message": "No capacity", "type": "server_error", "code": code}})


async def _endless(script: Script, body: Body, reply: Reply) -> bool:
    def words() -> Any:
        while True:
            yield "token "

    stream = Stream(script, body, reply)
    await stream.begin()
    await stream.words("content", words())
    return False


async def _throttle(script: Script, body: Body, reply: Reply) -> bool:
    error = {"message": "Rate limit reached for org-secret", "type": "requests", "code": "rate_limit_exceeded"}
    return await reply.json(429, {"error": error}, {"retry-after": script.values.get("after", "2")})


async def _status(script: Script, body: Body, reply: Reply) -> bool:
    error = {"message": script.values.get("message", "It failed"), "type": "fake", "param": None, "code": None}
    return await reply.json(script.number("code", 500), {"error": error})


SCENARIOS: Mapping[str, Callable[[Script, Body, Reply], Awaitable[bool]]] = {
    "text": _text,
    "echo": _echo,
    "tools": _tools,
    "json": _json,
    "refusal": _refusal,
    "length": _length,
    "filter": _filter,
    "error": _error,
    "cut": _cut,
    "reset": _reset,
    "stall": _stall,
    "garbage": _garbage,
    "html": _html,
    "object": _object,
    "endless": _endless,
    "throttle": _throttle,
    "status": _status,
}
