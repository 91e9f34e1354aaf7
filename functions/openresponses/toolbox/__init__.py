"""The tools that this server runs. They come from sources, one module each: `files`, `lambda_functions`."""

from collections.abc import Sequence

from ..core.ports import ToolOutput
from ..core.run import OfferedTool
from ..schema.items import HostedToolCall
from ..schema.tools import HostedTool, UpstreamTool
from .source import ToolFailed, ToolMisconfigured, ToolSource

MAX_OUTPUT = 20_000
"""Characters of an output that the model is shown."""
MAX_FAILURE = 1_000
"""Characters of an error that the model is shown."""


class Toolbox:
    """The tools of several sources. The first source that has a tool wins: of a file and a Lambda tool, the file."""

    def __init__(self, sources: Sequence[ToolSource]) -> None:
        self._sources = sources

    async def offer(self, tool: HostedTool | UpstreamTool) -> list[OfferedTool]:
        """The tools that a request declares by `tool`; empty if no source has it. Raises KitError."""
        for source in self._sources:
            if offered := await source.offer(tool):
                return offered
        return []

    async def call(self, call: HostedToolCall) -> ToolOutput:
        """Run one call. A failure is an output too: the model reads what went wrong."""
        try:
            for source in self._sources:
                output = await source.call(call)
                if output is not None:
                    return ToolOutput(_shown(output, MAX_OUTPUT))
        except (ToolFailed, ToolMisconfigured) as failure:
            return ToolOutput(_shown(str(failure), MAX_FAILURE), failed=True)
        return ToolOutput(f"There is no tool named {call.name!r} here. Go on without it.", failed=True)


def _shown(text: str, limit: int) -> str:
    text = text.encode(errors="replace").decode()  # JSON over HTTP has no place for a lone surrogate
    return text if len(text) <= limit else f"{text[:limit]}\n[cut: this is {limit} of {len(text)} characters]"
