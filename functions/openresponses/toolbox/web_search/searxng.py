"""SearXNG (https://docs.searxng.org/dev/search_api.html, searxng/searxng: searx/webutils.py, `get_json_response`).

An instance answers with JSON only if its settings.yml names `json` among `search.formats`. It has no parameter for the
number of results, for domains, or for where the user is.
"""

from ...schema.base import JsonObject
from .backend import Asked, Backend, Found, Wanted, results_in, text_of

_MAX_SITES = 8
"""Domains that stand in a query. More are left to the filter that all results go through."""


def _ask(wanted: Wanted, key: str) -> Asked:
    """The query goes on to engines, most of which know `site:` and `OR`. A key is for a proxy before the instance."""
    sites = " OR ".join(f"site:{domain}" for domain in wanted.domains)
    query = f"{wanted.query} ({sites})" if len(wanted.domains) > 1 else f"{wanted.query} {sites}".strip()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    asked = query if len(wanted.domains) <= _MAX_SITES else wanted.query
    return Asked("GET", "/search", {"q": asked, "format": "json"}, headers)


def _found(answer: JsonObject, wanted: Wanted) -> list[Found]:
    return [
        Found(url=text_of(each, "url"), title=text_of(each, "title"), text=text_of(each, "content"))
        for each in results_in(answer["results"])
    ]


def _why(answer: JsonObject) -> object:
    return answer.get("error")


SEARXNG = Backend("SearXNG", "", _ask, _found, _why)
