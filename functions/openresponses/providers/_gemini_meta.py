"""What Gemini says about its text: tokens used, sources, log probabilities. Pure.

Sources: Gemini API, "GenerateContentResponse" (`UsageMetadata`, `GroundingMetadata`, `LogprobsResult`).
"""

from collections.abc import Iterator

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.content import LogProb, TopLogProb, UrlCitation
from ..schema.response import InputTokensDetails, OutputTokensDetails, Usage
from ._json import count, fields, objects, text


def usage(used: JsonObject) -> Usage:
    """The candidates' tokens are without the thoughts', the prompt's without the results of Google's own tools."""
    thought = count(used.get("thoughtsTokenCount"))
    prompt = count(used.get("promptTokenCount")) + count(used.get("toolUsePromptTokenCount"))
    output = count(used.get("candidatesTokenCount")) + thought
    return Usage(
        input_tokens=prompt,
        input_tokens_details=InputTokensDetails(cached_tokens=count(used.get("cachedContentTokenCount"))),
        output_tokens=output,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=thought),
        total_tokens=prompt + output,
    )


def citations(said: str, candidate: JsonObject) -> Iterator[UrlCitation]:
    """Of the web, of maps and of documents. Google counts bytes of UTF-8, an annotation counts characters."""
    octets = said.encode(errors="replace")

    def cited(source: JsonObject, segment: JsonObject) -> Iterator[UrlCitation]:
        start = len(octets[: count(segment.get("startIndex"))].decode(errors="ignore"))
        end = len(octets[: count(segment.get("endIndex"))].decode(errors="ignore"))
        if (url := text(source.get("uri"))) and start <= end:
            yield UrlCitation(url=url, title=text(source.get("title")), start_index=start, end_index=end)

    grounding = fields(candidate.get("groundingMetadata"))
    chunks = [_source(chunk) for chunk in objects(grounding.get("groundingChunks"))]
    for support in objects(grounding.get("groundingSupports")):
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else []:
            if isinstance(index, int) and 0 <= index < len(chunks):
                yield from cited(chunks[index], fields(support.get("segment")))
    quoted = fields(candidate.get("citationMetadata"))
    for source in objects(quoted.get("citationSources")) or objects(quoted.get("citations")):
        yield from cited(source, source)


def logprobs(value: JsonValue) -> tuple[LogProb, ...]:
    result = fields(value)
    tops = [objects(step.get("candidates")) for step in objects(result.get("topCandidates"))]
    chosen = objects(result.get("chosenCandidates"))
    tops += [[]] * (len(chosen) - len(tops))
    return tuple(
        LogProb(**_token(each).model_dump(), top_logprobs=[_token(other) for other in top])
        for each, top in zip(chosen, tops, strict=False)
    )


def _source(chunk: JsonObject) -> JsonObject:
    return fields(chunk.get("web")) or fields(chunk.get("maps")) or fields(chunk.get("retrievedContext"))


def _token(value: JsonObject) -> TopLogProb:
    token, number = text(value.get("token")), value.get("logProbability")
    return TopLogProb(
        token=token,
        logprob=number if isinstance(number, int | float) else -9999.0,
        bytes=list(token.encode(errors="replace")),
    )
