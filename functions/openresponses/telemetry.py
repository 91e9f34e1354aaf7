"""One log line and one set of metrics for each response. Never a prompt, an output or a secret.

Powertools is imported when the first line is written, after the first answer: a cold start doesn't wait for it.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .core.errors import KitError
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
    """Times of one request, in milliseconds since it was accepted."""

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


def record(watch: Watch, run: Run) -> None:
    """The end of a response, however it ended."""
    response, calls = run.response, len(run.calls())
    provider, _, model = (run.served or "").partition("/")
    logger().info(
        "response",
        request_id=watch.request_id,
        tenant=watch.tenant,
        key_id=watch.key_id,
        response_id=response.id,
        asked=run.request.model,
        provider=provider,
        model=model,
        status=response.status,
        reason=response.incomplete_details.reason if response.incomplete_details else None,
        error=response.error.code if response.error else None,
        turns=run.turns,
        tool_calls=calls,
        first_byte_ms=None if watch.first_byte is None else round(watch.first_byte, 1),
        duration_ms=round(watch.elapsed(), 1),
        input_tokens=run.usage.input_tokens,
        output_tokens=run.usage.output_tokens,
    )
    counts = {
        "Turns": run.turns,
        "ToolCalls": calls,
        "InputTokens": run.usage.input_tokens,
        "OutputTokens": run.usage.output_tokens,
    }
    first_byte = {} if watch.first_byte is None else {"FirstByte": watch.first_byte}
    _measure({"provider": provider or "none"}, counts, {**first_byte, "Duration": watch.elapsed()})
    if response.error:
        count_error(response.error.code)


def answered(target: Target, error: KitError | None, seconds: float) -> None:
    """One turn's answer from a provider, or why there was none. A retry counts on its own.

    CloudWatch bills each value of a dimension: models that only a client names are counted together.
    """
    dimensions = {"provider": target.provider.name, "model": target.model if target.named else "other"}
    _measure(dimensions, {"AnswerErrors" if error else "Answers": 1}, {"AnswerDuration": seconds * 1000})
    if error is not None:
        told = {"target": target.name, "error": type(error).__name__, "code": error.code}
        logger().warning("provider failed", extra={**told, "duration_ms": round(seconds * 1000, 1)})


def performed(task: str, duration_ms: float, told: dict[str, object]) -> None:
    """One task of the state machine: a turn, a tool call, or the end of what could not go on. `error` is a class."""
    write = logger().warning if "error" in told else logger().info
    write(task, extra={"duration_ms": round(duration_ms, 1), **told})
    if "error" in told:
        _measure({"task_error": str(told["error"])}, {"TaskErrors": 1})


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
    """A bug. The message is left out, since it may quote what the client sent; the place is enough to find it."""
    frames = traceback.extract_tb(error.__traceback__)
    where: list[Any] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
    logger().error("crashed", request_id=request_id, error=type(error).__name__, where=where)
    count_error(KitError.code)


def count_error(code: str) -> None:
    _measure({"error": code}, {"Errors": 1})
