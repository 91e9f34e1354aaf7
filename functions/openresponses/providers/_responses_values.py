"""Values of a Responses stream, read without trust."""

import json

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.items import ExtensionItem, Phase
from ._json import text


def extension_of(item: JsonObject) -> ExtensionItem:
    return ExtensionItem.model_validate({**item, "id": "", "status": text(item.get("status")) or "completed"})


def phase_of(item: JsonObject) -> Phase | None:
    match item.get("phase"):
        case "commentary":
            return "commentary"
        case "final_answer":
            return "final_answer"
        case _:
            return None


def arguments_of(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else text(value)
