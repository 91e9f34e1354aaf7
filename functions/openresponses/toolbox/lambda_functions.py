"""Users' own Lambda functions as tools. What makes a function a tool is one parameter, `tools/<name>`, in JSON:

    {"function": "<ARN or name>", "description": "...", "parameters": {<JSON schema>}, "timeout": <seconds>}

A request names it as `{"type": "serverless:<name>"}`. The function is invoked with

    {"call_id", "response_id", "idempotency_token", "name", "arguments": {...}}

and returns what the model reads. A call may come twice, always with the same token: when the server dies before it
has kept the answer, or loses it. Knows nothing of AWS's interfaces: the port below is `aws`'s business.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Annotated, Any, Protocol, cast

from pydantic import BaseModel, Field, JsonValue, ValidationError

from ..core.errors import KitError
from ..core.ids import owner
from ..core.ports import Parameters, Toolbox, ToolOutput
from ..core.run import OfferedTool
from ..schema.base import SLUG, JsonObject
from ..schema.items import HostedToolCall
from .files import MAX_FAILURE, ToolFailed, as_text, cut

MAX_TIMEOUT = 300.0
"""Seconds. The Tool function must have longer."""
_PREFIX = f"{SLUG}:"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_RESERVED = "rejected_call"
_log = logging.getLogger(__name__)


class Functions(Protocol):
    async def invoke(self, function: str, payload: JsonObject) -> ToolOutput:
        """What the function returns, as text; or why there is nothing. Never raises for what a function does."""
        ...


class ToolMisconfigured(KitError):
    """An operator must act: the parameter is not as it must be."""

    code = "tool_misconfigured"


class LambdaTool(BaseModel):
    """What a parameter says."""

    function: Annotated[str, Field(min_length=1, max_length=170)]
    description: str = ""
    parameters: JsonObject = {"type": "object", "properties": {}}
    timeout: Annotated[float, Field(gt=0, le=MAX_TIMEOUT)] = 30.0


class LambdaTools:
    """The tools of `files`, and those that parameters name. Of two with the same name, the file is it."""

    def __init__(self, files: Toolbox, parameters: Parameters, functions: Functions) -> None:
        self._files, self._parameters, self._functions = files, parameters, functions

    async def offer(self, item_type: str) -> OfferedTool | None:
        """Raises StorageUnavailable, ToolMisconfigured."""
        if offered := await self._files.offer(item_type):
            return offered
        tool = await self._find(item_type)
        if tool is None:
            return None
        name = item_type.removeprefix(_PREFIX)
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
        if await self._files.offer(call.type):
            return await self._files.call(call)
        try:
            tool = await self._find(call.type)
            if tool is None:
                return await self._files.call(call)  # which says that there is no such tool
            return await self._answer(tool, call)
        except (ToolFailed, ToolMisconfigured) as failure:
            return ToolOutput(cut(str(failure), MAX_FAILURE), failed=True)

    async def _find(self, item_type: str) -> LambdaTool | None:
        name = item_type.removeprefix(_PREFIX)
        if not item_type.startswith(_PREFIX) or not _NAME.fullmatch(name) or name == _RESERVED:
            return None
        text = await self._parameters.get(f"tools/{name}")
        if text is None:
            return None
        try:
            return LambdaTool.model_validate_json(text)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)]
            _log.error("the parameter of tool %s is wrong: %s", name, "; ".join(wrong))
            raise ToolMisconfigured(f"The tool {name!r} is not set up correctly on this server") from error

    async def _answer(self, tool: LambdaTool, call: HostedToolCall) -> ToolOutput:
        """Raises ToolFailed."""
        name = call.type.removeprefix(_PREFIX)
        payload: JsonObject = {
            "call_id": call.call_id,
            "response_id": owner(call.id),
            "idempotency_token": call.id,
            "name": name,
            "arguments": _checked(name, call.arguments, tool.parameters),
        }
        try:
            async with asyncio.timeout(tool.timeout):
                output = await self._functions.invoke(tool.function, payload)
        except TimeoutError:
            message = f"{name} took longer than {tool.timeout:g} seconds and was given up. It may still have an effect."
            raise ToolFailed(message) from None
        return ToolOutput(cut(output.text, MAX_FAILURE) if output.failed else as_text(output.text), output.failed)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == int(value),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _checked(name: str, arguments: str, schema: JsonObject) -> JsonObject:
    """The arguments, if they are an object with what the schema requires, of the types that it says.

    No more of the schema is checked: what is left, the function knows best. Raises ToolFailed.
    """
    try:
        given = json.loads(arguments or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ToolFailed(f"The arguments of {name} are not JSON: {cut(str(error), 200)}") from error
    if not isinstance(given, dict):
        raise ToolFailed(f"The arguments of {name} must be a JSON object.")
    values = cast("JsonObject", given)
    declared = schema.get("properties")
    properties = declared if isinstance(declared, dict) else {}
    required = schema.get("required")
    wrong = [f"{each} is missing" for each in (required if isinstance(required, list) else []) if each not in values]
    for key, value in values.items():
        kinds = _kinds(properties.get(key))
        if key not in properties and schema.get("additionalProperties") is False:
            wrong.append(f"{key} is not among them")
        elif kinds and not any(_TYPES[kind](value) for kind in kinds):
            wrong.append(f"{key} must be of type {' or '.join(kinds)}")
    if wrong:
        raise ToolFailed(f"Wrong arguments for {name}: {'; '.join(wrong[:5])}. It takes {', '.join(properties)}.")
    return values


def _kinds(schema: JsonValue) -> list[str]:
    """The types that a property's schema names; none if any will do, or if it is not that simple."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    kinds = kind if isinstance(kind, list) else [kind]
    known = [each for each in kinds if isinstance(each, str) and each in _TYPES]
    return known if len(known) == len(kinds) else []


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
