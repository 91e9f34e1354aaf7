"""Exa (https://exa.ai/docs/reference/search, exa-labs/openapi-spec; errors: exa.ai/docs/reference/error-codes)."""

from ...schema.base import JsonObject
from .backend import Asked, Backend, Found, Wanted, results_in, text_of

_MAX_COUNT = 100


def _ask(wanted: Wanted, key: str) -> Asked:
    body: JsonObject = {
        "query": wanted.query,
        "type": "auto",
        "numResults": min(wanted.count, _MAX_COUNT),
        "contents": {"highlights": {"maxCharacters": wanted.characters}},
    }
    if wanted.domains:
        body["includeDomains"] = [*wanted.domains]
    if wanted.country:
        body["userLocation"] = wanted.country
    return Asked("POST", "/search", headers={"x-api-key": key}, body=body)


def _found(answer: JsonObject, wanted: Wanted) -> list[Found]:
    return [_result(each) for each in results_in(answer["results"])]


def _result(each: JsonObject) -> Found:
    highlights = each.get("highlights")
    told = [part for part in highlights if isinstance(part, str)] if isinstance(highlights, list) else []
    return Found(url=text_of(each, "url"), title=text_of(each, "title"), text="\n".join(told))


def _why(answer: JsonObject) -> object:
    return answer.get("error")


EXA = Backend("Exa", "https://api.exa.ai", _ask, _found, _why)
