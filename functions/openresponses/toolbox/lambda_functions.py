"""Users' own Lambda functions as tools. A parameter `tools/<name>` makes a function a tool. It is JSON:

    {"function": "<ARN or name>", "description": "...", "parameters": {<JSON schema>}, "timeout": <seconds>,
     "answers": "now" or "later"}

A request names it as `{"type": "serverless:<name>"}`. The function is invoked with

    {"call_id", "response_id", "idempotency_token", "name", "arguments": {...}}

and with the call's `traceparent`, where responses are traced; it returns what the model reads. One that answers later
is given a `task_token` too, and whatever it returns is no answer: that comes from whoever sends it to Step Functions,
with the token, within the `timeout`.

A call may come twice, with the same `idempotency_token`, and a new `task_token`: a server that dies before it has
stored the output, or loses it, makes the call again. Knows nothing of AWS's interfaces: `aws` implements `Functions`.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, Field, JsonValue, ValidationError

from ..core.ids import owner
from ..core.ports import Offer, Offerable, Parameters, ToolOutput
from ..core.run import Run
from ..core.spans import outgoing
from ..schema.base import JsonObject
from ..schema.server_items import HostedToolCall, McpListTools, ServerCall
from .source import ToolFailed, ToolMisconfigured, arguments_of, hosted_name, hosted_tool, is_backend, listed

MAX_TIMEOUT = 300.0
"""Seconds that a function runs. The Worker function must have longer."""
DAY = 86_400.0
LONGEST = 330 * DAY
"""An execution of the state machine, which waits for an answer, lasts a year at most:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
_SPARE = DAY / 2
"""What lies in S3 lives as long as a response is kept. Of that the wait leaves so much for what comes before and after
it."""
_log = logging.getLogger(__name__)


class Functions(Protocol):
    async def invoke(self, function: str, payload: JsonObject) -> ToolOutput:
        """What the function returns, as text, or why it returned nothing. Never raises for a function's failure."""
        ...


def _function(name: str) -> str:
    """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_RequestParameters"""
    if not re.fullmatch(r"[A-Za-z0-9:$._-]{1,170}", name):
        raise ValueError("must be the name or the ARN of a Lambda function")
    return name


class LambdaTool(BaseModel):
    """What a parameter `tools/<name>` holds."""

    function: Annotated[str, AfterValidator(_function)]
    description: str = ""
    parameters: JsonObject = {"type": "object", "properties": {}}
    timeout: Annotated[float, Field(gt=0)] | None = None
    answers: Literal["now", "later"] = "now"

    @property
    def seconds(self) -> float:
        return self.timeout or (DAY if self.answers == "later" else 30.0)


class LambdaTools:
    """The tools that parameters define. Responses are kept for `kept` seconds: no answer may take longer."""

    def __init__(self, parameters: Parameters, functions: Functions, kept: float = 30 * DAY) -> None:
        self._parameters, self._functions = parameters, functions
        self._longest = min(kept, LONGEST)

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        """Raises StorageUnavailable, ToolMisconfigured."""
        name = hosted_name(tool.type)
        defined = await self._read(name) if name else None
        if not name or not defined:
            return None
        offered = hosted_tool(name, defined.description, defined.parameters)
        if defined.answers == "later":
            offered.answers_later = True
            offered.timeout = ceil(min(defined.seconds, self._longest - _SPARE))
        return Offer([offered])

    async def call(self, call: ServerCall, run: Run) -> ToolOutput | None:
        """Raises StorageUnavailable, ToolMisconfigured, ToolFailed."""
        if not isinstance(call, HostedToolCall):
            return None
        name = hosted_name(call.type)
        defined = await self._read(name) if name else None
        return ToolOutput(await self._invoke(name, defined, call)) if name and defined else None

    async def ask(self, call: ServerCall, run: Run, task_token: str) -> bool:
        """Raises StorageUnavailable, ToolMisconfigured, ToolFailed."""
        name = hosted_name(call.type)
        defined = await self._read(name) if name else None
        if not name or not defined or not isinstance(call, HostedToolCall):
            return False
        with suppress(_TookLonger):  # it has its token
            await self._invoke(name, defined, call, task_token=task_token)
        return True

    async def hosted(self) -> list[str]:
        texts = {name: await self._parameters.get(f"tools/{name}") for name in await self._parameters.names("tools")}
        return [name for name, text in texts.items() if text and not is_backend(text)]

    async def _read(self, name: str) -> LambdaTool | None:
        text = await self._parameters.get(f"tools/{name}")
        if text is None or is_backend(text):
            return None
        try:
            tool = LambdaTool.model_validate_json(text)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)]
            raise _misconfigured(name, "; ".join(wrong)) from error
        longest = self._longest if tool.answers == "later" else MAX_TIMEOUT
        if tool.seconds > longest:
            raise _misconfigured(name, f"timeout: it is {longest:g} seconds at most")
        return tool

    async def _invoke(self, name: str, tool: LambdaTool, call: HostedToolCall, **more: JsonValue) -> str:
        payload: JsonObject = {
            "call_id": call.call_id,
            "response_id": owner(call.id),
            "idempotency_token": call.id,
            "name": name,
            "arguments": _checked(name, call.arguments, tool.parameters),
            **outgoing(),
            **more,
        }
        seconds = min(tool.seconds, MAX_TIMEOUT)
        try:
            async with asyncio.timeout(seconds):
                output = await self._functions.invoke(tool.function, payload)
        except TimeoutError:
            message = f"{name} took longer than {seconds:g} seconds and was given up. It may still have an effect."
            raise _TookLonger(message) from None
        if output.failed:
            raise ToolFailed(output.text)
        return output.text


class _TookLonger(ToolFailed):
    """The function may still do its work."""


def _misconfigured(name: str, wrong: str) -> ToolMisconfigured:
    _log.error("the parameter of tool %s is wrong: %s", name, wrong)
    return ToolMisconfigured(f"The tool {name!r} is not set up correctly on this server")


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: not isinstance(value, bool) and isinstance(value, int | float) and value % 1 == 0,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _checked(name: str, arguments: str, schema: JsonObject) -> JsonObject:
    """The arguments, parsed. Raises ToolFailed unless they are an object with the properties that `schema` requires,
    of the types that it names. The function itself must check the rest.
    """
    values = arguments_of(name, arguments, schema)
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
        raise ToolFailed(f"Wrong arguments for {name}: {'; '.join(wrong[:5])}. It takes {listed(schema)}.")
    return values


def _kinds(schema: JsonValue) -> list[str]:
    """The types that a property's schema names; empty if it names none, or one that is not in `_TYPES`."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    kinds = kind if isinstance(kind, list) else [kind]
    known = [each for each in kinds if isinstance(each, str) and each in _TYPES]
    return known if len(known) == len(kinds) else []
