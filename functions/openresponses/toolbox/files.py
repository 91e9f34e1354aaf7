"""The files of a package as tools. A tool is one module: `<tool>.py` with a function `<tool>`.

The function's signature is its JSON schema; the first paragraph of its docstring is its description, and lines
under `Args:` (or `Annotated[..., Field(description=...)]`) describe its parameters. An `async def` runs on the
event loop; a plain function runs in a thread, which can't be killed: it must end by itself.
Raise ValueError to tell the model what to do better. `TIMEOUT` in the module is the limit of a call in seconds
(default 10). A request offers it as `{"type": "serverless:<tool>"}`. A module whose name begins with `_` is no tool.
"""

import asyncio
import inspect
import re
import sys
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import CodeType, ModuleType
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import to_json

from ..core.ports import Offer, Offerable, ToolOutput
from ..core.run import Run
from ..schema.base import JsonObject
from ..schema.server_items import HostedToolCall, McpListTools, ServerCall
from .mistakes import Mistakes, Place
from .source import ToolFailed, arguments_of, hosted_name, hosted_tool, listed

DEFAULT_TIMEOUT = 10.0
"""Seconds."""


class ToolFiles:
    """The modules of `package`: found by file name, imported when first offered or called. `traced`: what is wrong with
    one is told with its traceback.
    """

    def __init__(self, package: str = "openresponses.tools", *, traced: bool = False) -> None:
        self._package, self._traced = package, traced
        self._loaded: dict[str, _ToolFile] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(each.name for each in iter_modules(self._folders) if not each.name.startswith("_")))

    @cached_property
    def _folders(self) -> list[str]:
        return [*import_module(self._package).__path__]

    @cached_property
    def _mistakes(self) -> Mistakes:
        return Mistakes(self._folders, traced=self._traced)

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        """Raises ToolMisconfigured if the file can't be imported, or its function can't be a tool."""
        file = self._find(tool.type)
        return Offer([hosted_tool(file.name, file.description, file.parameters)]) if file else None

    async def call(self, call: ServerCall, run: Run) -> ToolOutput | None:
        """Raises ToolFailed, ToolMisconfigured."""
        if not isinstance(call, HostedToolCall):
            return None
        file = self._find(call.type)
        return ToolOutput(await file.run(call.arguments)) if file else None

    async def hosted(self) -> tuple[str, ...]:
        return self.names

    def _find(self, item_type: str) -> "_ToolFile | None":
        name = hosted_name(item_type)
        if name is None or name not in self.names:
            return None
        if name not in self._loaded:
            self._loaded[name] = self._load(f"{self._package}.{name}", name)
        return self._loaded[name]

    def _load(self, module: str, name: str) -> "_ToolFile":
        """Raises ToolMisconfigured: what one file does keeps no other from its work."""
        try:
            return _ToolFile(import_module(module), self._mistakes)
        except (Exception, SystemExit) as error:
            raise self._mistakes.unusable(name, error, _declared(module, name)) from error


class _ToolFile:
    """A typed function: its schema, its arguments checked, its time limited. Raises TypeError if it can't be a tool."""

    def __init__(self, module: ModuleType, mistakes: Mistakes) -> None:
        self.name, self._mistakes = module.__name__.rpartition(".")[2], mistakes
        self._function = _function(module, self.name)
        self._timeout = float(getattr(module, "TIMEOUT", DEFAULT_TIMEOUT))
        doc = inspect.getdoc(self._function) or ""
        self.description = " ".join(doc.partition("\n\n")[0].split())
        self._arguments = _model(self.name, self._function, _documented(doc))
        self.parameters: JsonObject = _without_titles(self._arguments.model_json_schema())

    async def run(self, arguments: str) -> str:
        """The function's result as text. Raises ToolFailed."""
        given = self._check(arguments)
        values = {name: getattr(given, name) for name in type(given).model_fields}
        clock = asyncio.timeout(self._timeout)
        try:
            async with clock:
                if inspect.iscoroutinefunction(self._function):
                    result = await self._function(**values)
                else:
                    result = await asyncio.to_thread(self._function, **values)
            return result if isinstance(result, str) else _json(result)
        except ValueError as error:
            self._mistakes.refused(self.name, error)
            raise ToolFailed(str(error)) from error
        except (Exception, SystemExit) as error:  # which would end the server
            if isinstance(error, TimeoutError) and clock.expired():
                self._mistakes.overran(self.name, self._timeout)
                message = f"{self.name} took longer than {self._timeout:g} seconds and was given up."
                raise ToolFailed(message) from error
            self._mistakes.raised(self.name, error)
            raise ToolFailed(f"{self.name} failed: {type(error).__name__}: {error}") from error

    def _check(self, arguments: str) -> BaseModel:
        given = arguments_of(self.name, arguments, self.parameters)
        try:
            return self._arguments.model_validate(given)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            wrong = "; ".join(f"{_path(each['loc'])}: {each['msg']}" for each in found[:5])
            message = f"Wrong arguments for {self.name}. {wrong}. It takes {listed(self.parameters)}."
            raise ToolFailed(message) from error


def _json(result: object) -> str:
    """Raises TypeError: a ValueError would be told to the model as if the tool had meant it."""
    try:
        return to_json(result).decode()
    except ValueError as error:
        raise TypeError(f"it returned what can't be JSON: {error}") from None


def _function(module: ModuleType, name: str) -> Callable[..., Any]:
    function: object = getattr(module, name, None)
    if not name.isidentifier():
        better = re.sub(r"\W", "_", name)
        raise TypeError(f"tool {name}: a function can't be called so; rename the file, such as to {better}.py")
    if not callable(function):
        raise TypeError(f"tool {name}: the file has no function {name}")
    return function


def _declared(module: str, name: str) -> Place:
    """Where the function is, as far as that is known."""
    loaded = sys.modules.get(module)
    code = getattr(getattr(loaded, name, None), "__code__", None)
    spec = find_spec(module)
    file = (spec and spec.origin) or name
    return Place(code.co_filename, code.co_firstlineno) if isinstance(code, CodeType) else Place(file, 1)


def _model(name: str, function: Callable[..., Any], described: dict[str, str]) -> type[BaseModel]:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for each in inspect.signature(function).parameters.values():
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) or each.name not in hints:
            raise TypeError(f"tool {name}: parameter {each.name!r} must have a type, and take one value by name")
        default = ... if each.default is each.empty else each.default
        field = Field(default, description=described[each.name]) if each.name in described else Field(default)
        fields[each.name] = (hints[each.name], field)
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def _documented(doc: str) -> dict[str, str]:
    """Parameter -> its line under `Args:`; a line that is indented further continues it."""
    described: dict[str, str] = {}
    section = re.search(r"^Args:\n((?:[ \t]+.*(?:\n|$))+)", doc, re.MULTILINE)
    for entry in re.split(r"\n(?= {4}\w+:)", section[1].rstrip() if section else ""):
        name, colon, text = entry.strip().partition(":")
        if colon:
            described[name] = " ".join(text.split())
    return described


def _without_titles(schema: dict[str, Any]) -> JsonObject:
    """pydantic's titles repeat the names: the model would pay for them as tokens."""

    def strip(value: object, *, named: bool) -> object:
        if isinstance(value, list):
            return [strip(each, named=False) for each in cast("list[object]", value)]
        if not isinstance(value, dict):
            return value
        fields = cast("dict[str, object]", value).items()
        return {
            key: strip(each, named=not named and key in ("properties", "$defs"))
            for key, each in fields
            if named or key != "title"
        }

    return cast("JsonObject", strip(schema, named=False))


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location) or "arguments"
