"""What a fake upstream can be told to do, whatever its dialect. Each returns whether the connection can be used again.

What it answers is scripted by a directive: the header `x-fake`, or else what stands after `/fake ` in
the last user message, or else the model's name, or its end after a `!`. A directive is
`<scenario>[;<name>=<value>]...`:

| scenario     | what happens                                                                              |
|--------------|-------------------------------------------------------------------------------------------|
| `text`       | `tokens` (5) words, or the words of `say`                                                 |
| `echo`       | the last user message, said back                                                          |
| `recalls`    | the words `fact-...` of all that it is shown, once each                                   |
| `tools`      | calls offered tools for `turns` (1) turns, `parallel` (1) at once, after the words of     |
|              | `say` (none), then says the outputs                                                       |
| `calls`      | one call a turn, each `<name>=<arguments>`, of the tool whose name ends so, where         |
|              | `$<field>` is what an output's JSON has there; then says the outputs                      |
| `insists`    | calls the tool `name` in every turn, offered or not                                       |
| `remembers`  | calls the first tool once a turn, then says every word `fact-...` that it was sent; where |
|              | it is asked for a summary of all that, says the same at once                              |
| `json`       | a smallest instance of the asked schema                                                   |
| `willing`    | what fits the request: `tools` where there are any, or `json` for a schema, or `echo`     |
| `refusal`    | a refusal                                                                                 |
| `length`     | stops for length after `tokens` (5), or after the request's limit                         |
| `filter`     | stops for the content filter                                                              |
| `error`      | an error object in the stream after `tokens` (3)                                          |
| `cut`        | closes the connection after `bytes` (200) of the body                                     |
| `reset`      | resets the connection in place of a reply                                                 |
| `stall`      | stops sending after `tokens` (3), and keeps the connection; `tokens=-1`: not even headers |
| `garbage`    | something that can't be read after `tokens` (3)                                           |
| `html`       | a 200 with a web page                                                                     |
| `object`     | a 200 with a JSON error object                                                            |
| `endless`    | tokens for ever                                                                           |
| `throttle`   | 429 with `retry-after: <after>` (2)                                                       |
| `status`     | `code` (500), with an error object                                                        |

And for all of them: `window`, tokens that the model's context holds, and more are refused in the vendor's words
(none; `told=stream`: by an error in the stream, before the first delta); `delay_ms` per token (0), `first_delay_ms`
before the first (0), `reasoning` words before all else (0), `args` (a call's arguments, JSON), `fails=N`: only the
first N requests of this directive fare so, and later ones as `text`. A dialect may know more of them. A model's name
that is no directive is answered with 404, as real servers do.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import repeat
from typing import Any, TypeAlias

from tests.fakes.reply import Reply
from tests.fakes.wire import Asked, Body, Reason, Script, Stream, Wire


class Exchange:
    """One request, and the reply to it at the script's pace: each token is one write."""

    def __init__(self, wire: Wire, script: Script, asked: Asked, stream: Stream, reply: Reply) -> None:
        self.wire, self.script, self.asked, self.reply = wire, script, asked, reply
        self._stream = stream
        self.body = stream.request.body
        self._pause = script.number("delay_ms", 0) / 1000

    @property
    def shown(self) -> str:
        """All of the request's body."""
        return json.dumps(self._stream.request.body)

    @property
    def overflows(self) -> bool:
        return self._stream.prompt > self.script.number("window", 2**63)

    async def overflow(self) -> bool:
        """The input is too long for the model."""
        status, message, code = self.wire.too_long(self._stream.prompt, self.script.number("window", 0))
        if self.script.values.get("told") != "stream":
            return await self.error(status, message, code)
        self.reply.start(self._stream.content_type or self.wire.content_type)
        self.reply.send(self._stream.begin())
        return await self.fail(status, message)

    async def begin(self, cut: int | None = None) -> None:
        await asyncio.sleep(self.script.number("first_delay_ms", 0) / 1000)
        self.reply.start(self._stream.content_type or self.wire.content_type, cut)
        self.reply.send(self._stream.begin())
        if self.asked.thinks:
            thoughts = self.script.number("reasoning", 0)
            await self._words(self._stream.think, (f"thought{i} " for i in range(thoughts)))
            self._stream.thoughts = thoughts

    async def say(self, words: Iterable[str]) -> None:
        await self._words(self._stream.say, words)

    async def refuse(self, words: Iterable[str]) -> None:
        await self._words(self._stream.refuse, words)

    async def call(self, index: int, call_id: str, name: str, arguments: str) -> None:
        for piece in self._stream.call(index, call_id, name, arguments):
            self.reply.send(piece)
            self._stream.words += 1
        await self.reply.flush()

    async def end(self, reason: Reason = "stop") -> bool:
        return await self.broken(self._stream.end(reason))

    async def fail(self, code: int, message: str) -> bool:
        return await self.broken(self._stream.fail(code, message))

    async def garbage(self) -> bool:
        return await self.broken(self._stream.garbage())

    async def broken(self, last: bytes) -> bool:
        self.reply.send(last)
        return await self.reply.end()

    async def error(self, status: int, message: str, code: str | int | None, headers: Mapping[str, str] = {}) -> bool:
        """A reply that is an error, in place of a stream."""
        body = self.wire.error(status, message, code)
        return await self.reply.json(status, body, {**self.wire.error_headers(status), **headers})

    async def _words(self, written: Callable[[str], bytes], words: Iterable[str]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for word in words:
            if self._pause:
                due += self._pause
                await asyncio.sleep(due - loop.time())
            self.reply.send(written(word))
            self._stream.words += 1
            if not self._pause and self._stream.words % 32 == 0:
                await self.reply.flush()
                await asyncio.sleep(0)


def instance(schema: Body) -> Any:
    """A smallest value that fits the schema."""
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind.lower():
        case "object":
            properties = schema.get("properties", {})
            return {name: instance(properties.get(name, {})) for name in schema.get("required", properties)}
        case "array":
            return [instance(schema.get("items", {})) for _ in range(int(schema.get("minItems", 0)))]
        case "string":
            return "x" * max(1, int(schema.get("minLength", 1)))
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return None


def _tokens(count: int) -> list[str]:
    return [f"token{i} " for i in range(count)]


def _words_of(text: str) -> list[str]:
    return [f"{word} " for word in text.split()]


async def _text(to: Exchange) -> bool:
    say = to.script.values.get("say")
    await to.begin()
    await to.say(_words_of(say) if say else _tokens(to.script.number("tokens", 5)))
    return await to.end()


async def _echo(to: Exchange) -> bool:
    await to.begin()
    await to.say(_words_of(to.asked.user) or ["(nothing) "])
    return await to.end()


async def _recalls(to: Exchange) -> bool:
    await to.begin()
    await to.say(f"{word} " for word in dict.fromkeys(re.findall(r"fact-\w+", to.shown)) or ["nothing"])
    return await to.end()


async def _tools(to: Exchange) -> bool:
    script, asked = to.script, to.asked
    parallel = script.number("parallel", 1)
    turn = asked.calls // parallel
    await to.begin()
    if turn >= script.number("turns", 1) or not asked.tools:
        await to.say(_words_of(f"The tools said: {' '.join(asked.outputs)}"))
        return await to.end()
    await to.say(_words_of(script.values.get("say", "")))
    for i in range(parallel):
        tool = asked.tools[i % len(asked.tools)]
        arguments = script.values.get("args") or json.dumps(instance(tool.schema))
        await to.call(i, f"call_fake_{asked.all_calls}_{i}", tool.name, arguments)
    return await to.end("tools")


async def _calls(to: Exchange) -> bool:
    asked = to.asked
    calls = list(to.script.values.items())
    await to.begin()
    if asked.calls >= len(calls):
        await to.say(_words_of(f"The tools said: {' '.join(asked.outputs)}"))
        return await to.end()
    ending, arguments = calls[asked.calls]
    name = next(tool.name for tool in asked.tools if tool.name.endswith(ending))
    told = dict(re.findall(r'"(\w+)": ?"([^"]*)"', " ".join(asked.outputs)))
    arguments = re.sub(r"\$(\w+)", lambda found: told.get(found[1], found[0]), arguments)
    await to.call(0, f"call_fake_{asked.all_calls}", name, arguments)
    return await to.end("tools")


async def _remembers(to: Exchange) -> bool:
    asked = to.asked
    facts = " ".join(dict.fromkeys(re.findall(r"fact-\w+", json.dumps(to.body))))
    await to.begin()
    if "to be replaced by a summary" in asked.user or asked.calls or not asked.tools:
        await to.say(_words_of(f"I know {facts or 'nothing'}"))
        return await to.end()
    arguments = to.script.values.get("args") or json.dumps(instance(asked.tools[0].schema))
    await to.call(0, f"call_fake_{asked.all_calls}", asked.tools[0].name, arguments)
    return await to.end("tools")


async def _insists(to: Exchange) -> bool:
    await to.begin()
    await to.call(0, f"call_fake_{to.asked.all_calls}", to.script.values["name"], to.script.values.get("args", "{}"))
    return await to.end("tools")


async def _json(to: Exchange) -> bool:
    text = json.dumps(instance(to.asked.schema or {}))
    await to.begin()
    await to.say([text[i : i + 6] for i in range(0, len(text), 6)])
    return await to.end()


async def _willing(to: Exchange) -> bool:
    fitting = _tools if to.asked.tools else _json if to.asked.schema else _echo
    return await fitting(to)


async def _refusal(to: Exchange) -> bool:
    await to.begin()
    await to.refuse(["I can't ", "help with ", "that."])
    return await to.end()


async def _length(to: Exchange) -> bool:
    await to.begin()
    await to.say(_tokens(to.script.number("tokens", to.asked.limit or 5)))
    return await to.end("length")


async def _filter(to: Exchange) -> bool:
    await to.begin()
    await to.say(_tokens(to.script.number("tokens", 3)))
    return await to.end("filter")


async def _error(to: Exchange) -> bool:
    await to.begin()
    await to.say(_tokens(to.script.number("tokens", 3)))
    return await to.fail(to.script.number("code", 500), "The engine died")


async def _cut(to: Exchange) -> bool:
    await to.begin(cut=to.script.number("bytes", 200))
    await to.say(_tokens(to.script.number("tokens", 5)))
    return await to.end()


async def _reset(to: Exchange) -> bool:
    to.reply.reset()
    return False


async def _stall(to: Exchange) -> bool:
    if (tokens := to.script.number("tokens", 3)) >= 0:
        await to.begin()
        await to.say(_tokens(tokens))
        await to.reply.flush()
    await to.reply.client_gone()
    return False


async def _garbage(to: Exchange) -> bool:
    await to.begin()
    await to.say(_tokens(to.script.number("tokens", 3)))
    return await to.garbage()


async def _html(to: Exchange) -> bool:
    return await to.reply.whole(200, b"<html><body>Welcome!</body></html>", "text/html")


async def _object(to: Exchange) -> bool:
    code = to.script.number("code", 503)
    return await to.reply.json(200, to.wire.error(code, "No capacity", code))


async def _endless(to: Exchange) -> bool:
    await to.begin()
    await to.say(repeat("token "))
    return False


async def _throttle(to: Exchange) -> bool:
    after = {"retry-after": to.script.values.get("after", "2")}
    return await to.error(429, "Rate limit reached for org-secret", "rate_limit_exceeded", after)


async def _status(to: Exchange) -> bool:
    return await to.error(to.script.number("code", 500), to.script.values.get("message", "It failed"), None)


Scenario: TypeAlias = Callable[[Exchange], Awaitable[bool]]
SCENARIOS: Mapping[str, Scenario] = {
    "text": _text,
    "echo": _echo,
    "recalls": _recalls,
    "tools": _tools,
    "calls": _calls,
    "remembers": _remembers,
    "insists": _insists,
    "json": _json,
    "willing": _willing,
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
