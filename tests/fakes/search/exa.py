"""Exa's search.

Path, parameters, their ranges, and the answer's fields: exa-labs/openapi-spec, exa-openapi-spec.yaml (`/search`,
`CommonRequest`, `ContentsRequest`, `ResultWithContent`). Errors have `requestId`, `error` and `tag`:
exa.ai/docs/reference/error-codes.
"""

from collections.abc import Mapping

from tests.fakes.search import KEY, Answer, Json, Known, Received, need, of_domains, only

_TYPES = ("neural", "fast", "auto", "deep", "deep-reasoning", "instant")


def check(request: Received) -> str:
    need((request.method, request.path) == ("POST", "/search"), "Not Found", 404)
    need(request.headers.get("x-api-key") == KEY, "Invalid API key", 401, "INVALID_API_KEY")
    body = request.json()
    known = "query additionalQueries type category userLocation numResults includeDomains excludeDomains contents"
    only(body, f"{known} startCrawlDate endCrawlDate startPublishedDate endPublishedDate includeText excludeText")
    need(isinstance(body.get("query"), str) and body["query"], "query is required", 400, "INVALID_REQUEST_BODY")
    need(body.get("type", "auto") in _TYPES, "type", 400, "INVALID_REQUEST_BODY")
    need(1 <= body.get("numResults", 10) <= 100, "numResults", 400, "INVALID_NUM_RESULTS")
    contents = body.get("contents", {})
    only(contents, "text highlights summary livecrawl subpages subpageTarget extras context")
    need(contents.get("highlights", {}).get("maxCharacters", 1) >= 1, "maxCharacters", 400, "INVALID_REQUEST_BODY")
    location = body.get("userLocation", "US")
    need(len(location) == 2 and location.isupper(), "userLocation", 400, "INVALID_REQUEST_BODY")
    return body["query"]


def found(request: Received, pages: list[Known]) -> Json:
    body = request.json()
    most = body.get("contents", {}).get("highlights", {}).get("maxCharacters")
    pages = of_domains(pages, body.get("includeDomains", []))[: body.get("numResults", 10)]
    return {
        "requestId": "b5947044c4b78efa9552a7c89b306d95",
        "results": [
            {
                "title": page.title,
                "url": page.url,
                "id": page.url,
                "publishedDate": None,
                "author": None,
                **({"highlights": [page.text[:most]], "highlightScores": [0.46]} if most else {}),
            }
            for page in pages
        ],
        "searchType": "auto",
        "costDollars": {"total": 0.005},
    }


def error(status: int, code: str, why: str) -> Answer:
    return Answer(status, {"requestId": "0", "error": why, "tag": code})


def later(seconds: int) -> Mapping[str, str]:
    return {"retry-after": str(seconds)}
