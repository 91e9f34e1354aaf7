"""A SearXNG instance whose settings.yml names `json` among its formats.

Path and parameters: docs.searxng.org/dev/search_api.html. Answers and errors: searxng/searxng, searx/webutils.py
(`get_json_response`) and searx/webapp.py (`search`, `index_error`); results: searx/result_types/_base.py, `MainResult`.
Its engine doesn't know `site:`: "if the query is passed to any search engine which does not filter its results based on
this syntax, you might not get the results you wanted" (the same page).
"""

from collections.abc import Mapping

from tests.fakes.search import Answer, Json, Known, Received, need, only


def check(request: Received) -> str:
    need(request.method == "GET" and request.path in ("/", "/search"), "Not Found", 404)
    only(request.query, "q categories engines language pageno time_range format safesearch theme")
    need(request.query.get("format") == "json", "an instance answers people with HTML")
    need(request.query.get("q"), "No query")
    return request.query["q"]


def found(request: Received, pages: list[Known]) -> Json:
    return {
        "query": request.query["q"],
        "results": [
            {
                "url": page.url,
                "engine": "one",
                "parsed_url": ["https", page.host, "/", "", "", ""],
                "template": "default.html",
                "title": page.title,
                "content": page.text[:300],
                "publishedDate": None,
                "engines": ["one", "two"],
                "score": 2.0,
                "category": "general",
            }
            for page in pages
        ],
        "answers": [],
        "corrections": [],
        "infoboxes": [],
        "suggestions": [],
        "unresponsive_engines": [],
    }


def error(status: int, code: str, why: str) -> Answer:
    """The limiter's 429 and a format that is not enabled (403) are pages for people."""
    return Answer(status, f"<html>{why}</html>" if status in (403, 429) else {"error": why})


def later(seconds: int) -> Mapping[str, str]:
    return {"retry-after": str(seconds)}
