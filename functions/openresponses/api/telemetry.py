"""One log line and one set of metrics for each response. Never a prompt, an output or a secret."""

import traceback
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from ..core.errors import KitError
from ..core.run import Run
from ..core.targets import Target


@cache
def logger() -> Logger:
    return Logger(log_uncaught_exceptions=False)


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
    metrics = EphemeralMetrics()
    metrics.add_dimension(name="provider", value=provider or "none")
    if watch.first_byte is not None:
        metrics.add_metric(name="FirstByte", unit=MetricUnit.Milliseconds, value=watch.first_byte)
    metrics.add_metric(name="Duration", unit=MetricUnit.Milliseconds, value=watch.elapsed())
    metrics.add_metric(name="Turns", unit=MetricUnit.Count, value=run.turns)
    metrics.add_metric(name="ToolCalls", unit=MetricUnit.Count, value=calls)
    metrics.add_metric(name="InputTokens", unit=MetricUnit.Count, value=run.usage.input_tokens)
    metrics.add_metric(name="OutputTokens", unit=MetricUnit.Count, value=run.usage.output_tokens)
    metrics.flush_metrics()
    if response.error:
        count_error(response.error.code)


def answered(target: Target, error: KitError | None, seconds: float) -> None:
    """One turn's answer from a provider, or why there was none. A retry counts on its own.

    CloudWatch bills each value of a dimension: models that only a client names are counted together.
    """
    metrics = EphemeralMetrics()
    metrics.add_dimension(name="provider", value=target.provider.name)
    metrics.add_dimension(name="model", value=target.model if target.named else "other")
    metrics.add_metric(name="Answers" if error is None else "AnswerErrors", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="AnswerDuration", unit=MetricUnit.Milliseconds, value=seconds * 1000)
    metrics.flush_metrics()
    if error is not None:
        told = {"target": target.name, "error": type(error).__name__, "code": error.code}
        logger().warning("provider failed", extra={**told, "duration_ms": round(seconds * 1000, 1)})


def performed(task: str, duration_ms: float, told: dict[str, object]) -> None:
    """One task of the state machine: a turn, a tool call, or the end of what could not go on. `error` is a class."""
    write = logger().warning if "error" in told else logger().info
    write(task, extra={"duration_ms": round(duration_ms, 1), **told})
    if "error" in told:
        metrics = EphemeralMetrics()
        metrics.add_dimension(name="task_error", value=str(told["error"]))
        metrics.add_metric(name="TaskErrors", unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()


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
    metrics = EphemeralMetrics()
    metrics.add_dimension(name="error", value=code)
    metrics.add_metric(name="Errors", unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()
