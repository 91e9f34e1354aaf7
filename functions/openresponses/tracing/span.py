"""A span, by OpenTelemetry's conventions for generative AI.

The conventions: https://github.com/open-telemetry/semantic-conventions-genai (v0.1.0, after semantic-conventions
1.41), read in November 2026. Where they leave a choice, or we differ:

| span | name | kind | why |
|---|---|---|---|
| of a response | `invoke_agent` | server | the conventions know a client's and an internal one; ours answers a client |
| of a turn | `turn`, `compact` | internal | covers retries and fallbacks; without tokens: no sum has them twice |
| of a request to a provider | `chat {model}` | client | one for each attempt, so that one that failed is seen |
| of a call | `execute_tool {name}` | internal, client | client for an MCP server's: it is that of `tools/call`, too |

Attributes that begin with `openresponses.` are ours. Nothing that a client, a model or a tool said is in any of them;
`error.type` is the code that a client gets, and no message is kept.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ..core import deltas as d
from ..core.accounts import code_of
from ..core.settings import ProviderSettings
from ..core.spans import SpanContext
from ..core.turn import Turn
from ..schema.response import Usage
from .providers import known_as, server_of

Kind: TypeAlias = Literal["internal", "server", "client"]
Value: TypeAlias = str | bool | int | float | list[str]
Attributes: TypeAlias = dict[str, Value | None]
LONGEST = 256
"""Characters of a value: names, which clients choose."""
_SHARED = ("openresponses.tenant", "openresponses.key.id", "openresponses.response.id", "gen_ai.conversation.id")
"""What every span says: so one whose response's worker died is found, too."""


@dataclass(slots=True)
class RecordedSpan:
    """Times are Unix seconds. `parent` is a span's id, and `remote` if a client's; `error` is a class of errors. It is
    given to `collect` when it ends.
    """

    name: str
    kind: Kind
    context: SpanContext
    parent: str
    began: float
    attributes: Attributes
    collect: "Callable[[RecordedSpan], None]" = field(repr=False)
    now: Callable[[], float] = field(repr=False)
    new_id: Callable[[], str] = field(repr=False)
    remote: bool = False
    ended: float = 0.0
    error: str | None = None

    def child(self, name: str, kind: Kind, attributes: Attributes) -> "RecordedSpan":
        """One that begins now."""
        mine = replace(self.context, span_id=self.new_id()[:16])
        shared = {key: value for key, value in self.attributes.items() if key in _SHARED}
        return replace(
            self,
            name=name,
            kind=kind,
            context=mine,
            parent=self.context.span_id,
            remote=False,
            began=self.now(),
            attributes=shared | attributes,
        )

    def attempt(self, provider: ProviderSettings, turn: Turn) -> "RecordedSpan":
        (host, port), request = server_of(provider), turn.request
        return self.child(
            f"chat {turn.model[:LONGEST]}",
            "client",
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": known_as(provider),
                "gen_ai.request.model": turn.model,
                "gen_ai.request.stream": True,
                "gen_ai.request.max_tokens": turn.max_output_tokens,
                "gen_ai.request.temperature": request.temperature,
                "gen_ai.request.top_p": request.top_p,
                "gen_ai.request.presence_penalty": request.presence_penalty,
                "gen_ai.request.frequency_penalty": request.frequency_penalty,
                "server.address": host,
                "server.port": port,
                "openresponses.target": f"{provider.name}/{turn.model}",
            },
        )

    def watched(self, deltas: AsyncIterator[d.Delta]) -> AsyncGenerator[d.Delta]:
        self.attributes["gen_ai.response.time_to_first_chunk"] = max(0.0, self.now() - self.began)
        self.attributes["gen_ai.response.finish_reasons"] = ["error"]  # what it is if no end comes
        return self._watched(deltas)

    async def _watched(self, deltas: AsyncIterator[d.Delta]) -> AsyncGenerator[d.Delta]:
        async for delta in deltas:
            if isinstance(delta, d.Usage):
                self.attributes |= tokens(delta.usage)
            elif isinstance(delta, d.Finish):
                self.attributes["gen_ai.response.finish_reasons"] = [delta.reason]
            yield delta

    def end(self, error: BaseException | None) -> None:
        self.over(None if error is None else _class_of(error))

    def over(self, error: str | None) -> None:
        self.ended, self.error = max(self.began, self.now()), error
        if error is not None:
            self.attributes["error.type"] = error
        if self.context.sampled:
            self.collect(self)


def tokens(usage: Usage) -> Attributes:
    """Caches and reasoning are parts of the whole, as in ours."""
    read, written = usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": read or None,
        "gen_ai.usage.cache_write.input_tokens": written or None,
        "gen_ai.usage.reasoning.output_tokens": usage.output_tokens_details.reasoning_tokens or None,
    }


def _class_of(error: BaseException) -> str:
    if isinstance(error, Exception):
        return code_of(error)
    return "cancelled"
