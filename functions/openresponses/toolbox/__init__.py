"""The tools that this server runs. They come from sources, one module each: `files`, `lambda_functions`."""

from collections.abc import Sequence
from dataclasses import replace

from ..core.answers import MAX_FAILURE, limited
from ..core.ports import Offer, Offerable, ToolOutput
from ..core.run import Run
from ..schema.base import SLUG
from ..schema.server_items import McpListTools, ServerCall
from .source import AnswersLater, HasHosted, KeepsSessions, ToolFailed, ToolMisconfigured, ToolSource


class Toolbox:
    """The tools of several sources. The first source that has a tool wins: of a file and a Lambda tool, the file."""

    def __init__(self, sources: Sequence[ToolSource]) -> None:
        self._sources = sources

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        """What a request declares by `tool`; None if no source has it. Raises KitError."""
        for source in self._sources:
            if offered := await source.offer(tool, known):
                return offered
        return None

    async def hosted_types(self) -> list[str]:
        named = [await source.hosted() for source in self._sources if isinstance(source, HasHosted)]
        return sorted({f"{SLUG}:{name}" for names in named for name in names})

    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        """Run one call. A failure is an output too: the model reads what went wrong."""
        try:
            for source in self._sources:
                output = await source.call(call, run)
                if output is not None:
                    return replace(output, text=limited(output.text))
        except (ToolFailed, ToolMisconfigured) as failure:
            return ToolOutput(limited(str(failure), MAX_FAILURE), failed=True)
        return ToolOutput(f"There is no tool named {call.name!r} here. Go on without it.", failed=True)

    async def leave(self, run: Run) -> None:
        """End what servers keep for `run`."""
        for source in self._sources:
            if isinstance(source, KeepsSessions):
                await source.leave(run)

    async def ask(self, call: ServerCall, run: Run, task_token: str) -> ToolOutput | None:
        """Begin a call whose tool answers later. What it failed with at once; None if it did not."""
        try:
            for source in self._sources:
                if isinstance(source, AnswersLater) and await source.ask(call, run, task_token):
                    return None
        except (ToolFailed, ToolMisconfigured) as failure:
            return ToolOutput(limited(str(failure), MAX_FAILURE), failed=True)
        return ToolOutput(f"There is no tool named {call.name!r} here. Go on without it.", failed=True)
