"""Brave's web search.

Path, parameters, their ranges, and the answer's fields: brave/brave-search-mcp-server, src/tools/web/params.ts and
types.ts, src/BraveAPI. Headers: api.search.brave.com/app/documentation/web-search/request-headers, response-headers.
Errors: the same server's `RateLimitErrorResponse`; a wrong token is 422 (nearai/ironclaw#2780), and so is a parameter
(egoist/chatwise-releases#936). Goggles: brave/goggles-quickstart, getting-started.md.
"""

from collections.abc import Mapping

from tests.fakes.search import KEY, Answer, Json, Known, Received, need, of_domains, only

_COUNTRIES = (
    "ALL AR AU AT BE BR CA CL DK FI FR DE HK IN ID IT JP KR MY MX NL NZ NO CN PL PT PH RU SA ZA ES SE CH TW TR GB US"
)


def check(request: Received) -> str:
    query = request.query
    need((request.method, request.path) == ("GET", "/res/v1/web/search"), "Not found", 404)
    token = request.headers.get("x-subscription-token")
    need(token == KEY, "The provided subscription token is invalid.", 422, "SUBSCRIPTION_TOKEN_INVALID")
    known = "q country search_lang ui_lang count offset safesearch freshness text_decorations spellcheck"
    only(query, f"{known} result_filter goggles units extra_snippets summary", 422)
    said = query.get("q", "")
    need(1 <= len(said) <= 400 and len(said.split()) <= 50, "q: 400 characters and 50 words at most", 422)
    need(1 <= int(query.get("count", "10")) <= 20, "count: 1 to 20", 422)
    need(query.get("country", "US") in _COUNTRIES.split(), "country: not supported", 422)
    for switch in ("text_decorations", "extra_snippets"):
        need(query.get(switch, "true") in ("true", "false"), f"{switch}: not a boolean", 422)
    need(request.headers.get("accept") == "application/json", "accept: not supported", 422)
    location = {name for name in request.headers if name.startswith("x-loc-")}
    known = {"x-loc-lat", "x-loc-long", "x-loc-timezone", "x-loc-city", "x-loc-state", "x-loc-state-name"}
    need(location <= {*known, "x-loc-country", "x-loc-postal-code"}, "unknown header", 422)
    return said


def found(request: Received, pages: list[Known]) -> Json:
    rules = request.query.get("goggles", "").splitlines()
    sites = [rule.partition("site=")[2] for rule in rules if rule.startswith("$boost")]
    pages = of_domains(pages, sites) if "$discard" in rules else pages
    marks = request.query.get("text_decorations", "true") == "true"
    results = [_result(page, request, marks) for page in pages[: int(request.query.get("count", "10"))]]
    answer: Json = {"type": "search", "query": {"original": request.query["q"]}}
    return {**answer, "web": {"type": "search", "results": results, "family_friendly": True}} if results else answer


def _result(page: Known, request: Received, marks: bool) -> Json:
    words = page.text[:200]
    told: Json = {
        "title": page.title,
        "url": page.url,
        "is_source_local": False,
        "is_source_both": False,
        "description": f"<strong>{words}</strong>" if marks else words,
        "family_friendly": True,
        "type": "search_result",
        "subtype": "generic",
        "is_live": False,
        "language": "en",
    }
    more = {"extra_snippets": [page.text[200:400], page.text[400:600]]}
    return {**told, **(more if request.query.get("extra_snippets") == "true" else {})}


def error(status: int, code: str, why: str) -> Answer:
    told = {"id": "0", "status": status, "code": code, "detail": why, "meta": {}}
    return Answer(status, {"type": "ErrorResponse", "error": told, "time": 1764270000})


def later(seconds: int) -> Mapping[str, str]:
    return {
        "x-ratelimit-limit": "1, 15000",
        "x-ratelimit-policy": "1;w=1, 15000;w=2592000",
        "x-ratelimit-remaining": "0, 1000",
        "x-ratelimit-reset": f"{seconds}, 1419704",
    }
