"""Spans, as whoever makes a response sees them, and W3C trace context. `tracing` names them and sends them away.

A span is the current one for what is done within it: so whoever asks another server need not be handed it.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, Protocol

from ..schema.server_items import ServerCall
from .accounts import Account, CallAccount
from .deltas import Delta
from .run import Run
from .settings import ProviderSettings
from .turn import Turn

MAX_STATE = 512
"""Characters of a `tracestate`: as many as everybody should pass on
(https://www.w3.org/TR/trace-context/#tracestate-limits)."""
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[ -~]+")


@dataclass(frozen=True, slots=True)
class SpanContext:
    """What another server is told of a span. `state` is what others before us have written of the trace."""

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""

    @property
    def headers(self) -> dict[str, str]:
        parent = f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"
        return {"traceparent": parent, **({"tracestate": self.state} if self.state else {})}


def received(parents: Sequence[str], states: Sequence[str] = ()) -> str:
    """What a run keeps of the headers `traceparent` and `tracestate`; empty if they say nothing that can be used
    (https://www.w3.org/TR/trace-context/#traceparent-header).
    """
    found = _PARENT.fullmatch(parents[0].strip()) if len(parents) == 1 else None
    if found is None or (found[1] == "00" and found[5]):
        return ""
    state = ",".join(states).strip()
    fits = len(state) <= MAX_STATE and _STATE.fullmatch(state)
    return f"00-{found[2]}-{found[3]}-{int(found[4], 16) & 1:02x}{f' {state}' if fits else ''}"


def parent_of(run: Run) -> SpanContext | None:
    """The span of the client's that asked for the response, if it told one."""
    if not run.trace:
        return None
    parent, _, state = run.trace.partition(" ")
    _, trace_id, span_id, flags = parent.split("-")
    return SpanContext(trace_id, span_id, flags == "01", state)


def context_of(run: Run) -> SpanContext:
    """The response's span: whoever goes on with the response finds the same. A trace that begins here has the token of
    the response's id as its own.
    """
    token, parent = run.response.id.removeprefix("resp_"), parent_of(run)
    if parent is None:
        return SpanContext(token, token[16:])
    return SpanContext(parent.trace_id, token[16:], parent.sampled, parent.state)


class Span(Protocol):
    """An operation that is not over."""

    context: SpanContext

    def attempt(self, provider: ProviderSettings, turn: Turn) -> "Span":
        """A request to a provider, within this span."""
        ...

    def watched(self, deltas: AsyncIterator[Delta]) -> AsyncIterator[Delta]:
        """The same deltas, of a provider that has begun to answer: the span learns what they say of tokens, and of the
        end.
        """
        ...

    def end(self, error: BaseException | None) -> None: ...


class Traces(Protocol):
    """The spans of one tenant. Nothing here raises, and nothing waits but `export`."""

    def turn(self, run: Run, name: Literal["turn", "compact"] = "turn") -> Span:
        """A turn of the model, or a summary."""
        ...

    def call(self, call: ServerCall, run: Run) -> SpanContext:
        """The span that `called` makes when the call is over."""
        ...

    def called(self, call: ServerCall, run: Run, account: CallAccount, began: float) -> None: ...

    def ended(self, run: Run, account: Account) -> None:
        """A response is over."""
        ...

    async def export(self) -> None:
        """Send what is over where it belongs. It takes a few seconds at most."""
        ...


_context: ContextVar[SpanContext | None] = ContextVar("context", default=None)
_span: ContextVar[Span | None] = ContextVar("span", default=None)


def outgoing() -> Mapping[str, str]:
    """What the current span tells a server that is asked now; nothing where nothing is traced."""
    context = _context.get()
    return {} if context is None else context.headers


@contextmanager
def telling(context: SpanContext | None) -> Generator[None]:
    """Servers that are asked within hear of this span."""
    if context is None:
        yield
        return
    before = _context.get()
    _context.set(context)
    try:
        yield
    finally:
        _context.set(before)


@contextmanager
def within(span: Span | None) -> Generator[Span | None]:
    """`span` is the current one, and ends with the block."""
    if span is None:
        yield None
        return
    before = _span.get()
    _span.set(span)
    try:
        with telling(span.context):
            yield span
    except BaseException as error:
        span.end(error)
        raise
    else:
        span.end(None)
    finally:
        _span.set(before)


@asynccontextmanager
async def asking(provider: ProviderSettings, turn: Turn) -> AsyncGenerator[Span | None]:
    """A request to a provider, within the current turn. None where nothing is traced."""
    parent = _span.get()
    with within(None if parent is None else parent.attempt(provider, turn)) as span:
        yield span
