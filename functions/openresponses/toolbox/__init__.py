"""The tools that this server runs. A tool is one module of `tools/`: `<tool>.py` with a function `<tool>`.

The function's signature is its JSON schema; the first paragraph of its docstring is its description, and lines
under `Args:` (or `Annotated[..., Field(description=...)]`) describe its parameters. An `async def` runs on the
event loop; a plain function runs in a thread, which can't be killed: it must be bounded by construction.
Raise ValueError to tell the model what to do better. `TIMEOUT` in the module sets its seconds (default 10).
A request offers it as `{"type": "serverless:<tool>"}`. A module whose name begins with `_` is not a tool.

Users' own Lambda functions are tools too: `lambda_functions`.
"""

from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules

from ..core.ports import ToolOutput
from ..core.run import OfferedTool
from ..schema.base import SLUG
from ..schema.items import HostedToolCall
from .files import Tool, ToolFailed

_PREFIX = f"{SLUG}:"


class Toolbox:
    """The tools of one package: found by file name, imported when first offered or called."""

    def __init__(self, package: str = "openresponses.tools") -> None:
        self._package = package
        self._loaded: dict[str, Tool] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        path = import_module(self._package).__path__
        return tuple(sorted(module.name for module in iter_modules(path) if not module.name.startswith("_")))

    async def offer(self, item_type: str) -> OfferedTool | None:
        """The tool as a model is shown it; None if `item_type` is no tool of this server."""
        name = item_type.removeprefix(_PREFIX)
        if not item_type.startswith(_PREFIX) or name not in self.names:
            return None
        tool = self._load(name)
        return OfferedTool(
            name=name,
            kind="hosted",
            item_type=item_type,
            wire_name=name,
            description=tool.description,
            parameters=tool.parameters,
        )

    async def call(self, call: HostedToolCall) -> ToolOutput:
        """Run one call. Whatever goes wrong is an output that the model can read."""
        name = call.type.removeprefix(_PREFIX)
        if name not in self.names:
            return ToolOutput(f"There is no tool named {name!r} here. Go on without it.", failed=True)
        try:
            return ToolOutput(await self._load(name).run(call.arguments))
        except ToolFailed as failure:
            return ToolOutput(str(failure), failed=True)

    def _load(self, name: str) -> Tool:
        if name not in self._loaded:
            self._loaded[name] = Tool(import_module(f"{self._package}.{name}"))
        return self._loaded[name]
