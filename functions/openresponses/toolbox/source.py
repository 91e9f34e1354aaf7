"""What a source of tools must do, and what every source shares. Knows none of them."""

import json
import re
from collections.abc import Sequence
from math import isfinite
from typing import Protocol, cast, runtime_checkable

from ..core.errors import KitError
from ..core.json import object_of
from ..core.ports import Offer, Offerable, ToolOutput
from ..core.run import OfferedTool, Run
from ..schema.base import SLUG, JsonObject
from ..schema.server_items import REJECTED_CALL, McpListTools, ServerCall

_HOSTED = re.compile(rf"{SLUG}:([a-zA-Z0-9_-]{{1,64}})")


class ToolSource(Protocol):
    """A place where tools come from, such as the files of a package."""

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        """What a request declares by `tool`; None if it is not from here. Raises KitError, which fails the request."""
        ...

    async def call(self, call: ServerCall, run: Run) -> ToolOutput | None:
        """Run a call of `run`; None if its tool is not from here. Raises ToolFailed, ToolMisconfigured."""
        ...


@runtime_checkable
class KeepsSessions(Protocol):
    """A source whose servers keep something for each run that called them."""

    async def leave(self, run: Run) -> None:
        """Let them end it. Never raises."""
        ...


@runtime_checkable
class AnswersLater(Protocol):
    """A source of tools some of which answer later."""

    async def ask(self, call: ServerCall, run: Run, task_token: str) -> bool:
        """Begin a call. False if its tool is not from here. Raises ToolFailed, ToolMisconfigured."""
        ...


@runtime_checkable
class HasHosted(Protocol):
    """A source of hosted tools."""

    async def hosted(self) -> Sequence[str]:
        """Their names. Raises StorageUnavailable."""
        ...


class ToolFailed(Exception):
    """A call failed. The message is written for the model."""


class ToolMisconfigured(KitError):
    """The configuration of a tool is wrong: an operator must correct it."""

    code = "tool_misconfigured"


def arguments_of(name: str, text: str, parameters: JsonObject) -> JsonObject:
    """A call's arguments, as the model wrote them. Raises ToolFailed for what is no object of JSON: it has no NaN, and
    no number that is too large for one."""
    try:
        given = json.loads(text or "{}", parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise ToolFailed(f"The arguments of {name} are not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ToolFailed(f"The arguments of {name} must be a JSON object with {listed(parameters)}.")
    return cast("JsonObject", given)


def listed(parameters: JsonObject) -> str:
    """The names of the properties that a JSON schema has."""
    properties = parameters.get("properties")
    return ", ".join(properties) if isinstance(properties, dict) and properties else "no arguments"


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:40]} is no number that JSON has")
    return number


def is_backend(text: str) -> bool:
    """Whether a parameter is that of web search, which names a backend where a Lambda tool's names a function."""
    return "backend" in (object_of(text) or {})


def hosted_name(item_type: str) -> str | None:
    """`clock` for `serverless:clock`; None if `item_type` can't be the type of a tool of this server."""
    match = _HOSTED.fullmatch(item_type)
    return match[1] if match and item_type != REJECTED_CALL else None


def hosted_tool(name: str, description: str, parameters: JsonObject) -> OfferedTool:
    """The offer of `serverless:<name>`. `parameters` is a JSON schema."""
    return OfferedTool(
        name=name,
        kind="hosted",
        item_type=f"{SLUG}:{name}",
        wire_name=name,
        description=description,
        parameters=parameters,
    )
