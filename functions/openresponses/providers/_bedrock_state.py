"""What Bedrock must get back of a model's reasoning, as one string: the block itself. Pure.

Source: the API reference of Amazon Bedrock, `ReasoningContentBlock`: text with its signature, unmodified, or what
was encrypted (`redactedContent`).
"""

import json

from ..schema.base import JsonObject
from ._json import loads


def kept(block: JsonObject) -> str:
    return json.dumps(block, ensure_ascii=False, separators=(",", ":"))


def restored(state: str | None) -> JsonObject | None:
    """The block that `kept` made a state of; None for anything else."""
    try:
        block = loads(state or "")
    except ValueError:
        return None
    match block:
        case {"redactedContent": str(), **rest} if not rest:
            return block
        case {"reasoningText": {"text": str(), "signature": str(), **more}, **rest} if not (rest or more):
            return block
        case {"reasoningText": {"text": str(), **more}, **rest} if not (rest or more):
            return block
        case _:
            return None
