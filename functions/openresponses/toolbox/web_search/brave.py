"""Brave Search (https://api-dashboard.search.brave.com/documentation, api.search.brave.com/app/documentation).

The parameters and the fields are those of Brave's own MCP server, brave/brave-search-mcp-server (src/tools/web).
"""

from unicodedata import normalize

from ...schema.base import JsonObject
from .backend import Asked, Backend, Found, Wanted, object_of, results_in, text_of

_COUNTRIES = {
    *("AR", "AU", "AT", "BE", "BR", "CA", "CL", "DK", "FI", "FR", "DE", "HK", "IN", "ID", "IT", "JP", "KR", "MY", "MX"),
    *("NL", "NZ", "NO", "CN", "PL", "PT", "PH", "RU", "SA", "ZA", "ES", "SE", "CH", "TW", "TR", "GB", "US"),
}
_MAX_CHARACTERS, _MAX_WORDS, _MAX_COUNT = 400, 50, 20
_SNIPPET = 1_000
"""Characters. Who wants more is given up to five more snippets: not every plan has them."""


def _ask(wanted: Wanted, key: str) -> Asked:
    """A goggle is Brave's filter: its generic `$discard` drops what no other rule names
    (brave/goggles-quickstart, getting-started.md). Headers tell where the user is.
    """
    query = {
        "q": " ".join(wanted.query.split()[:_MAX_WORDS])[:_MAX_CHARACTERS],
        "count": str(min(wanted.count, _MAX_COUNT)),
        "text_decorations": "false",
        "result_filter": "web",
    }
    if wanted.characters > _SNIPPET:
        query["extra_snippets"] = "true"
    if wanted.country in _COUNTRIES:
        query["country"] = wanted.country
    if wanted.domains:
        query["goggles"] = "\n".join(["$discard", *(f"$boost,site={domain}" for domain in wanted.domains)])
    location = {
        "x-loc-country": wanted.country,
        "x-loc-state-name": wanted.region,
        "x-loc-city": wanted.city,
        "x-loc-timezone": wanted.timezone,
    }
    told = {name: _ascii(value) for name, value in location.items()}
    headers = {"x-subscription-token": key, "cache-control": "no-cache"}
    return Asked("GET", "/res/v1/web/search", query, headers | {name: value for name, value in told.items() if value})


def _ascii(text: str) -> str:
    """As a header can carry it: without its accents."""
    return normalize("NFKD", text).encode("ascii", "ignore").decode()


def _found(answer: JsonObject, wanted: Wanted) -> list[Found]:
    """Without `web` nothing was found."""
    if answer.get("type") != "search":
        raise ValueError("not an answer to a search")
    return [_result(each) for each in results_in(object_of(answer.get("web")).get("results", []))]


def _result(each: JsonObject) -> Found:
    more = each.get("extra_snippets")
    snippets = [text_of(each, "description"), *(more if isinstance(more, list) else [])]
    text = "\n".join(snippet for snippet in snippets if isinstance(snippet, str))
    return Found(url=text_of(each, "url"), title=text_of(each, "title"), text=text)


def _why(answer: JsonObject) -> object:
    return object_of(answer.get("error")).get("detail")


BRAVE = Backend("Brave", "https://api.search.brave.com", _ask, _found, _why)
