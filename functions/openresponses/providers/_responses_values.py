"""Values of a Responses stream, read without trust."""

import json
import re

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.content import LogProb, TopLogProb, UrlCitation
from ..schema.items import ExtensionItem, Phase
from ._json import count, objects, text


def fitting_name(name: str) -> str:
    """What a model makes up must still be a name that an item can hold: it is then told of its mistake."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "_", name)[:128]


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


def logprobs_of(value: JsonValue) -> tuple[LogProb, ...]:
    return tuple(
        LogProb(
            **_top_logprob(each).model_dump(),
            top_logprobs=[_top_logprob(top) for top in objects(each.get("top_logprobs"))],
        )
        for each in objects(value)
    )


def _top_logprob(value: JsonObject) -> TopLogProb:
    number, octets = value.get("logprob"), value.get("bytes")
    return TopLogProb(
        token=text(value.get("token")),
        logprob=number if isinstance(number, int | float) else -9999.0,
        bytes=[count(each) for each in octets] if isinstance(octets, list) else [],
    )


def citation_of(value: JsonObject) -> UrlCitation:
    return UrlCitation(
        url=text(value.get("url")),
        title=text(value.get("title")),
        start_index=count(value.get("start_index")),
        end_index=count(value.get("end_index")),
    )
