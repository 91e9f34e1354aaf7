"""Cache points: where a prompt's start may be kept for the next request. Pure.

Source: the user guide of Amazon Bedrock, "Prompt caching": up to four points; Claude's models take them after the
tools too, Nova's don't; a prompt below a model's least size is not cached, at no cost. A point directly after a
document or a video is refused.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from ..schema.base import JsonObject
from ._bedrock_models import Traits
from ._bedrock_options import BedrockOptions


def mark(body: JsonObject, traits: Traits, options: BedrockOptions) -> None:
    """Points after the tools, the system blocks and, in a conversation that goes on, its last two user messages:
    the second of these is where the previous request's point was, and what it wrote is read."""
    if traits.caches == "nothing" or options.cache == "off":
        return
    kept: JsonObject = {"type": "default"}
    if options.cache == "1h" and traits.caches_long:
        kept["ttl"] = "1h"
    point: JsonObject = {"cachePoint": kept}
    match body.get("toolConfig"):
        case {"tools": list(tools)} if traits.caches == "tools":
            tools.append(point)
        case _:
            pass
    match body.get("system"):
        case list(system):
            system.append(point)
        case _:
            pass
    match body["messages"]:
        case list(messages) if len(messages) > 1 or "toolConfig" in body:
            _mark_messages(messages, point)
        case _:
            pass


def _mark_messages(messages: Sequence[JsonValue], point: JsonObject) -> None:
    marked = 0
    for message in reversed(messages):
        match message:
            case {"role": "user", "content": list(content)} if marked < 2:
                end = len(content)
                while end and isinstance(last := content[end - 1], dict) and last.keys() & {"document", "video"}:
                    end -= 1
                if end:
                    content.insert(end, point)
                marked += 1
            case _:
                pass
