"""What was done for a response, as a client is shown it that asks for it: `include` has `serverless:timeline`.

Times are Unix seconds, and durations are seconds. `timed_response` has the response that has it.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from .base import SLUG, Wire, absent

TIMELINE = f"{SLUG}:timeline"


class Attempt(Wire):
    """A target (`provider/model`) that did not answer the turn. One that was `skipped` was not asked in its place."""

    model_config = ConfigDict(defer_build=True)

    target: str
    outcome: Literal["failed", "skipped"]
    error: str | None = absent()
    message: str = ""
    seconds: float | None = absent()


class TurnUsage(Wire):
    """Counts of tokens."""

    model_config = ConfigDict(defer_build=True)

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class TurnEntry(Wire):
    """A turn of the model, or a summary (`compacts`). `target` is None if none began to answer, or nobody knows which.

    `began_at` and `seconds` are with the `attempts` before the target that answered; of many of these the first ones
    are kept, and `more_attempts` counts the others. `first_seconds` passed until the model began to answer.
    `discarded`: the turn died, and no model is shown what it said. `seconds` is None if nobody knows when it died.
    """

    model_config = ConfigDict(defer_build=True)

    type: Literal["turn"] = "turn"
    target: str | None
    began_at: float
    seconds: float | None = None
    first_seconds: float | None = None
    where: Literal["inline", "handed_off"] = "inline"
    usage: TurnUsage | None = absent()
    usd: str | None = absent()
    attempts: list[Attempt] = []
    more_attempts: int | None = absent()
    compacts: bool | None = absent()
    error: str | None = absent()
    message: str | None = absent()
    discarded: bool | None = absent()


class CallEntry(Wire):
    """A call of a tool. `item_id` is of its item, `server` is the label of an MCP server. `seconds` is None if nobody
    knows how long it took, and `outcome` is `unknown` if nobody knows whether it was made.
    """

    model_config = ConfigDict(defer_build=True)

    type: Literal["call"] = "call"
    item_id: str
    tool: str
    kind: Literal["hosted", "mcp", "search"]
    server: str | None = absent()
    began_at: float
    seconds: float | None = None
    outcome: Literal["completed", "failed", "unknown"]


class LeftOut(Wire):
    """Stands for `count` entries in the middle of a long timeline."""

    model_config = ConfigDict(defer_build=True)

    type: Literal["left_out"] = "left_out"
    count: int


TimelineEntry: TypeAlias = Annotated[TurnEntry | CallEntry | LeftOut, Field(discriminator="type")]
