"""Tavily's search.

Path, parameters, their ranges, and the answer's fields: docs.tavily.com/documentation/api-reference/endpoint/search and
tavily.com/.well-known/openapi.json. Domains: 300 at most (docs.tavily.com, best practices for search). Errors: where
tavily-ai/tavily-python reads them, tavily/tavily.py, `_handle_error_response`.
"""

from collections.abc import Mapping

from tests.fakes.search import KEY, Answer, Json, Known, Received, need, of_domains, only

_DEPTHS = ("basic", "advanced", "fast", "ultra-fast")


def check(request: Received) -> str:
    need((request.method, request.path) == ("POST", "/search"), "Not Found", 404)
    need(request.headers.get("authorization") == f"Bearer {KEY}", "Unauthorized: missing or invalid API key.", 401)
    need(request.headers.get("content-type") == "application/json", "no JSON", 422)
    body = request.json()
    known = "query search_depth topic time_range start_date end_date days max_results include_domains exclude_domains"
    only(body, f"{known} include_answer include_raw_content include_images country auto_parameters chunks_per_source")
    need(isinstance(body.get("query"), str) and body["query"], "Query is missing.")
    need(len(body["query"]) <= 400, "Query is too long. Max query length is 400 characters.")
    need(0 <= body.get("max_results", 5) <= 20, "max_results: 0 to 20")
    need(body.get("search_depth", "basic") in _DEPTHS, "Invalid search depth.")
    need(len(body.get("include_domains", [])) <= 300, "include_domains: 300 at most")
    country = body.get("country", "germany")
    need(country == country.lower() and len(country) > 3, "country: a name in lower case")
    return body["query"]


def found(request: Received, pages: list[Known]) -> Json:
    body = request.json()
    pages = of_domains(pages, body.get("include_domains", []))[: body.get("max_results", 5)]
    return {
        "query": body["query"],
        "answer": None,
        "images": [],
        "results": [
            {"title": page.title, "url": page.url, "content": page.text, "score": 0.9, "raw_content": None}
            for page in pages
        ],
        "response_time": 1.67,
        "request_id": "0",
    }


def error(status: int, code: str, why: str) -> Answer:
    return Answer(status, {"detail": {"error": why}})


def later(seconds: int) -> Mapping[str, str]:
    return {"retry-after": str(seconds)}
