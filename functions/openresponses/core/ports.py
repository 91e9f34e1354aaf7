"""What the core needs from the world. Adapters implement these; the core never imports them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..schema.events import Event
from ..schema.items import HostedToolCall
from .deltas import Delta
from .run import OfferedTool
from .steps import Step
from .turn import Turn

Emit: TypeAlias = Callable[[Event], Awaitable[None]]
Pause: TypeAlias = Callable[[Step], bool]


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What the model reads. `failed`: the text says what went wrong."""

    text: str
    failed: bool = False


class Provider(Protocol):
    """One configured model vendor, speaking one wire dialect."""

    def stream(self, turn: Turn) -> AsyncGenerator[Delta, None]:
        """One turn's deltas. Raises ProviderError; a stream without `Finish` is a dead turn."""
        ...

    async def aclose(self) -> None: ...


class Models(Protocol):
    """Every model that this deployment can reach."""

    def resolve(self, model: str) -> tuple[Provider, str]:
        """The provider that serves `model`, and the provider's own name for it. Raises NotFound."""
        ...

    def listed(self) -> list[str]: ...


class Toolbox(Protocol):
    """The tools that this server runs."""

    def offer(self, item_type: str) -> OfferedTool | None:
        """The tool that a request names by `item_type` (`serverless:<tool>`); None if there is none."""
        ...

    async def call(self, call: HostedToolCall) -> ToolOutput:
        """Run one call. Never raises for a tool's own failure: that is an output for the model."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """`now` gives Unix seconds; `new_id` gives a fresh random token of [0-9a-f]."""

    models: Models
    tools: Toolbox
    now: Callable[[], float]
    new_id: Callable[[], str]
