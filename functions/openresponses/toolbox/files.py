"""A typed function as a tool: its schema, its arguments checked, its time and its output bounded."""

import asyncio
import inspect
import json
import logging
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import to_json

from ..schema.base import JsonObject

DEFAULT_TIMEOUT = 10.0
"""Seconds."""
MAX_OUTPUT = 20_000
"""Characters of output that the model is shown."""
MAX_FAILURE = 1_000
"""Characters of what went wrong."""
_log = logging.getLogger(__name__)


class ToolFailed(Exception):
    """A call that brought nothing. Its text is written for the model."""


class Tool:
    """Raises TypeError where the module's function can't be a tool: that is its author's mistake."""

    def __init__(self, module: ModuleType) -> None:
        self.name = module.__name__.rpartition(".")[2]
        self._function: Callable[..., Any] = getattr(module, self.name)
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
            return as_text(result)
        except ValueError as error:
            raise ToolFailed(cut(str(error), MAX_FAILURE)) from error
        except Exception as error:
            if isinstance(error, TimeoutError) and clock.expired():
                message = f"{self.name} took longer than {self._timeout:g} seconds and was given up."
                raise ToolFailed(message) from error
            _log.warning("tool %s raised %s", self.name, type(error).__name__)
            message = f"{self.name} failed: {type(error).__name__}: {error}"
            raise ToolFailed(cut(message, MAX_FAILURE)) from error

    def _check(self, arguments: str) -> BaseModel:
        try:
            given = json.loads(arguments or "{}")
        except (ValueError, RecursionError) as error:
            raise ToolFailed(f"The arguments of {self.name} are not JSON: {cut(str(error), 200)}") from error
        if not isinstance(given, dict):
            raise ToolFailed(f"The arguments of {self.name} must be a JSON object with {_listed(self.parameters)}.")
        try:
            return self._arguments.model_validate(given)
        except ValidationError as error:
            wrong = "; ".join(f"{_path(each['loc'])}: {each['msg']}" for each in error.errors()[:5])
            raise ToolFailed(
                cut(f"Wrong arguments for {self.name}. {wrong}. It takes {_listed(self.parameters)}.", MAX_FAILURE)
            ) from error


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


def as_text(result: object) -> str:
    """What the model is shown of a result: text as it is, anything else as JSON, of bounded length."""
    text = result if isinstance(result, str) else to_json(result).decode()
    text = text.encode(errors="replace").decode()  # a lone surrogate could not be sent
    return cut(text, MAX_OUTPUT)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}\n[cut: this is {limit} of {len(text)} characters]"


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location) or "arguments"


def _listed(parameters: JsonObject) -> str:
    properties = parameters.get("properties")
    return ", ".join(properties) if isinstance(properties, dict) and properties else "no arguments"
