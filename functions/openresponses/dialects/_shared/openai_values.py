"""Values that OpenAI's two APIs, and those like them, write in the same way. Read without trust."""

from pydantic import JsonValue

from ...schema.base import JsonObject
from ...schema.content import LogProb, TopLogProb, UrlCitation
from .json import count, objects, text

OUT_OF_QUOTA = {"insufficient_quota": 402, "billing_hard_limit_reached": 402}
"""Codes that come with a 429, where no retry helps."""


def logprobs_of(value: JsonValue) -> tuple[LogProb, ...]:
    return tuple(
        LogProb(
            **_top_logprob(each).model_dump(),
            top_logprobs=[_top_logprob(top) for top in objects(each.get("top_logprobs"))],
        )
        for each in objects(value)
    )


def citation_of(value: JsonObject) -> UrlCitation:
    return UrlCitation(
        url=text(value.get("url")),
        title=text(value.get("title")),
        start_index=count(value.get("start_index")),
        end_index=count(value.get("end_index")),
    )


def _top_logprob(value: JsonObject) -> TopLogProb:
    number, octets = value.get("logprob"), value.get("bytes")
    return TopLogProb(
        token=text(value.get("token")),
        logprob=number if isinstance(number, int | float) else -9999.0,
        bytes=[count(each) for each in octets] if isinstance(octets, list) else [],
    )
