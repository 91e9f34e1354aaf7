"""Log lines and metrics. None of them holds a prompt, an output or a secret.

Powertools is imported when the first line is written, after the first answer: a cold start doesn't wait for it.
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .core.accounts import Account, CallAccount
from .core.bill import PER_DOLLAR, shown_cost
from .core.errors import KitError, ProviderError
from .core.run import Run
from .routing.targets import Target

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


@cache
def logger() -> "Logger":
    from aws_lambda_powertools import Logger

    return Logger(log_uncaught_exceptions=False)


def _measure(
    dimensions: Mapping[str, str], counts: Mapping[str, float], milliseconds: Mapping[str, float] | None = None
) -> None:
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    metrics = EphemeralMetrics()
    for name, value in dimensions.items():
        metrics.add_dimension(name=name, value=value)
    for name, value in (milliseconds or {}).items():
        metrics.add_metric(name=name, unit=MetricUnit.Milliseconds, value=value)
    for name, value in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()


@dataclass
class Watch:
    """One request, and when its first byte went out, in milliseconds since it was accepted."""

    request_id: str
    tenant: str
    key_id: str
    began: float = 0.0
    first_byte: float | None = None

    def __post_init__(self) -> None:
        self.began = perf_counter()

    def elapsed(self) -> float:
        return (perf_counter() - self.began) * 1000

    def mark_first_byte(self) -> None:
        self.first_byte = self.elapsed()


def requested(watch: Watch, run: Run) -> None:
    """The end of a request for a new response. The response may go on: its account comes when it is over."""
    first_byte = watch.first_byte
    logger().info(
        "request",
        request_id=watch.request_id,
        tenant=watch.tenant,
        key_id=watch.key_id,
        response_id=run.response.id,
        first_byte_ms=None if first_byte is None else round(first_byte, 1),
        duration_ms=round(watch.elapsed(), 1),
    )
    if first_byte is not None:
        _measure({"provider": _provider_and_model(run.served)[0]}, {}, {"FirstByte": first_byte})


class LoggedAccounts:
    """One tenant's accounts, as log lines and metrics."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant

    async def record(self, account: Account) -> None:
        provider, model = _provider_and_model(account.target)
        usage, milliseconds = account.usage, account.seconds * 1000
        logger().info(
            "response",
            tenant=self._tenant,
            key_id=account.key_id,
            response_id=account.response_id,
            asked=account.model,
            provider=provider,
            model=model,
            status=account.status,
            reason=account.reason,
            error=account.error,
            kept=account.kept,
            turns=account.turns,
            tool_calls=account.tool_calls,
            retries=account.retries,
            fallbacks=account.fallbacks,
            duration_ms=round(milliseconds, 1),
            input_tokens=usage.input_tokens,
            cached_tokens=usage.input_tokens_details.cached_tokens,
            output_tokens=usage.output_tokens,
            cache_write_tokens=usage.input_tokens_details.cache_write_tokens,
            reasoning_tokens=usage.output_tokens_details.reasoning_tokens,
            usd=shown_cost(account.cost).usd,
        )
        counts: dict[str, float] = {
            "Turns": account.turns,
            "ToolCalls": account.tool_calls,
            "InputTokens": usage.input_tokens,
            "OutputTokens": usage.output_tokens,
            **({"Retries": account.retries} if account.retries else {}),
            **({"UnknownCost": 1} if account.cost is None else {"Cost": account.cost.whole / PER_DOLLAR}),
        }
        _measure({"provider": provider}, counts, {"Duration": milliseconds})
        if account.error and account.kept:  # otherwise the request is counted as refused
            count_error(account.error)

    async def called(self, account: CallAccount) -> None:
        """CloudWatch bills each value of a dimension, so MCP servers that only a client names are counted together."""
        milliseconds = None if account.seconds is None else account.seconds * 1000
        logger().info(
            "tool call",
            tenant=self._tenant,
            key_id=account.key_id,
            response_id=account.response_id,
            call_id=account.call_id,
            kind=account.kind,
            server=account.server,
            host=account.host,
            tool=account.tool,
            outcome=account.outcome,
            approved_by=account.approved_by,
            duration_ms=None if milliseconds is None else round(milliseconds, 1),
            bytes_in=account.bytes_in,
            bytes_out=account.bytes_out,
        )
        counts = {"ToolCallErrors": 1} if account.outcome in ("failed", "unknown") else {}
        durations = {} if milliseconds is None else {"ToolCallDuration": milliseconds}
        if counts or durations:
            named = f"mcp:{account.server}" if account.configured else "mcp"
            _measure({"tool": named if account.kind == "mcp" else account.tool}, counts, durations)


def _provider_and_model(target: str | None) -> tuple[str, str]:
    provider, _, model = (target or "none/").partition("/")
    return provider, model


def answered(target: Target, error: KitError | None, seconds: float, instead: bool) -> None:
    """One turn that a provider answered, or failed to answer. Each retry counts. `instead`: another one is the first
    choice.

    CloudWatch bills each value of a dimension, so models that only a client names are counted together.
    """
    dimensions = {"provider": target.provider.name, "model": target.model if target.named else "other"}
    counts = {"AnswerErrors" if error else "Answers": 1, **({"Fallbacks": 1} if instead else {})}
    _measure(dimensions, counts, {"AnswerDuration": seconds * 1000})
    if error is not None:
        logger().warning(
            "provider failed",
            target=target.name,
            error=type(error).__name__,
            code=error.code,
            cause=error.cause if isinstance(error, ProviderError) else None,
            reason=None if isinstance(error, ProviderError) and error.quotes else error.message,
            duration_ms=round(seconds * 1000, 1),
        )


class Skips:
    """Targets that are passed over, each logged once in `EVERY` seconds: every turn of an alias passes over the same.
    `now` gives seconds, and need not tell the time of day.
    """

    EVERY = 60.0
    MOST = 1_000
    """Targets that are remembered. Clients name models, so there is no end of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._told = dict[tuple[str, str], float]()

    def __call__(self, target: str, why: str) -> None:
        now = self._now()
        if now - self._told.get((target, why), -self.EVERY) < self.EVERY:
            return
        if len(self._told) >= self.MOST:
            self._told.clear()
        self._told[target, why] = now
        logger().warning("target skipped", target=target, why=why)


def circuit(target: str, seconds: float | None) -> None:
    """A target kept failing, so that it is asked last for so many seconds; or it answered since (None)."""
    if seconds is None:
        logger().info("circuit", target=target, state="closed")
    else:
        logger().warning("circuit", target=target, state="open", seconds=round(seconds, 1))


def unexported(failure: str, spans: int) -> None:
    """Spans that no collector has taken."""
    logger().warning("spans not exported", failure=failure, lost=spans)


def performed(task: str, duration_ms: float, fields: dict[str, object]) -> None:
    """One task of the state machine: some turns of a response, or the end of one that was given up. A field `error`
    names the class of the error that the task raised.
    """
    write = logger().warning if "error" in fields else logger().info
    write(task, extra={"duration_ms": round(duration_ms, 1), **fields})
    if "error" in fields:
        _measure({"task_error": str(fields["error"])}, {"TaskErrors": 1})
    elif parked := fields.get("parked"):
        _measure({}, {"CallsParked": float(str(parked))})
    elif task in ("answer", "fail"):
        _measure({}, {"CallsAnswered": 1})


def refused(request_id: str, error: KitError) -> None:
    """A request that was answered with an HTTP error."""
    logger().warning(
        "refused",
        request_id=request_id,
        status=error.status,
        error=type(error).__name__,
        code=error.code,
        param=error.param,
    )
    count_error(error.code)


def crashed(request_id: str, error: BaseException) -> None:
    """A bug. Its message is left out, since it may quote what the client sent: its place is enough to find it."""
    frames = traceback.extract_tb(error.__traceback__)
    where: list[Any] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
    logger().error("crashed", request_id=request_id, error=type(error).__name__, where=where)
    count_error(KitError.code)


def count_error(code: str) -> None:
    _measure({"error": code}, {"Errors": 1})
