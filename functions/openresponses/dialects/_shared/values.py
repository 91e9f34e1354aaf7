"""Values of our schema, made of what vendors send: tokens, citations, log probabilities. Read without trust."""

from pydantic import JsonValue

from ...core.surrogates import whole
from ...schema.base import JsonObject
from ...schema.content import FileCitation, LogProb, TopLogProb, UrlCitation
from ...schema.response import InputTokensDetails, OutputTokensDetails, Usage
from .json import count, objects, text


def usage(
    given: int,
    made: int,
    *,
    cached: JsonValue = 0,
    written: JsonValue = 0,
    reasoned: JsonValue = 0,
    total: JsonValue = 0,
) -> Usage:
    """`given` includes the tokens that came from the cache (`cached`) and those that went into it (`written`), `made`
    those that the model `reasoned` with.
    """
    return Usage(
        input_tokens=given,
        input_tokens_details=InputTokensDetails(cached_tokens=count(cached), cache_write_tokens=count(written)),
        output_tokens=made,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=count(reasoned)),
        total_tokens=count(total) or given + made,
    )


def web_citation(url: str, title: JsonValue, start: int, end: int) -> UrlCitation | None:
    """None for a source without an address on the web, such as a document in the request."""
    if not url.startswith(("http://", "https://")):
        return None
    return UrlCitation(url=url, title=text(title), start_index=start, end_index=end)


def document_citation(document: JsonValue, title: JsonValue, at: int) -> FileCitation | None:
    """Of a document in the request: its id at the vendor, if it has one, and its title. The passage of it that is cited
    has no place in the annotation's shape. None for a document that has neither.
    """
    if not (text(document) or text(title)):
        return None
    return FileCitation(file_id=text(document), filename=text(title), index=at)


_NEVER = 9999.0
"""The logarithm of a probability of nothing, negated, as OpenAI writes it ("Chat completion object", `logprob`)."""


def top_logprob(token: JsonValue, logprob: JsonValue, octets: JsonValue) -> TopLogProb:
    return TopLogProb(
        token=whole(text(token)),
        logprob=logprob if isinstance(logprob, int | float) and -_NEVER <= logprob <= _NEVER else -_NEVER,
        bytes=[count(each) for each in octets] if isinstance(octets, list) else [],
    )


def logprobs_of(value: JsonValue) -> tuple[LogProb, ...]:
    """As OpenAI's two APIs, and those like them, write them."""
    return tuple(
        LogProb(
            **_top_logprob(each).model_dump(),
            top_logprobs=[_top_logprob(top) for top in objects(each.get("top_logprobs"))],
        )
        for each in objects(value)
    )


def citation_of(value: JsonObject) -> UrlCitation:
    """As OpenAI's two APIs, and those like them, write it."""
    return UrlCitation(
        url=text(value.get("url")),
        title=text(value.get("title")),
        start_index=count(value.get("start_index")),
        end_index=count(value.get("end_index")),
    )


def _top_logprob(value: JsonObject) -> TopLogProb:
    return top_logprob(value.get("token"), value.get("logprob"), value.get("bytes"))
