"""What one response took, made once where it ends. Knows no price and no limit."""

from dataclasses import dataclass

from ..schema.response import ResponseStatus, Usage
from .errors import KitError
from .run import Run


@dataclass(frozen=True, slots=True)
class Account:
    """One response that is over.

    `model` is the one that the request names, `target` the one that answered last (`provider/model`), None if none did.
    `reason` says why it is incomplete; `error` is the code of its failure. `turns` and `tool_calls` leave dead turns
    out; `usage` has their tokens too. `seconds` have passed since the response was created. `kept` is false if it
    failed before its client saw any of it: the client got an HTTP error, and nothing is stored.
    """

    response_id: str
    key_id: str
    model: str
    target: str | None
    status: ResponseStatus
    reason: str | None
    error: str | None
    turns: int
    tool_calls: int
    usage: Usage
    seconds: float
    kept: bool = True


def account_of(run: Run, now: float, failure: Exception | None = None) -> Account:
    """The account of a response that is over. `failure` is what ended it, if its run doesn't say so."""
    response = run.response
    error = response.error.code if response.error else None
    return Account(
        response_id=response.id,
        key_id=run.key_id,
        model=run.request.model,
        target=run.served,
        status="failed" if failure else response.status,
        reason=response.incomplete_details.reason if response.incomplete_details else None,
        error=code_of(failure) if failure else error,
        turns=run.turns,
        tool_calls=len(run.calls()),
        usage=run.used(),
        seconds=now - (run.created or response.created_at),
        kept=failure is None,
    )


def code_of(error: Exception) -> str:
    """The code that a client gets for `error`. A bug has the general one."""
    return error.code if isinstance(error, KitError) else KitError.code
