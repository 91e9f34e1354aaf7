"""What a client gave for an MCP server to trust it: sealed in a run, opened where the server is asked.

A URL may hold a key too, so it is sealed with the headers. What was sealed opens for the same tenant and label alone.
"""

import json
from typing import cast

from ..schema.base import JsonObject
from .errors import RequestError
from .ports import Seal


async def sealed(seal: Seal, label: str, secrets: JsonObject) -> str:
    return await seal.seal(_name(label), json.dumps(secrets))


async def opened(seal: Seal, label: str, text: str) -> JsonObject:
    """Raises RequestError if it can't be opened any more, as after its key was taken away."""
    found = await seal.open(text)
    if found is None or found[0] != _name(label):
        raise RequestError(f"The credentials of the MCP server {label!r} can't be read any more", param="tools")
    return cast("JsonObject", json.loads(found[1]))


def _name(label: str) -> str:
    """It has a space, so it is no target's (`provider/model`)."""
    return f"mcp server {label}"
