"""What is said to a client that asks for a path which isn't there. Imported when one does."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

_OTHER_APIS = {
    "chat/completions": "Chat Completions",
    "completions": "Completions",
    "messages": "Anthropic's Messages",
    "embeddings": "Embeddings",
}
"""By how their paths end, of clients that take this for another server."""


def advice(scope: Scope, routes: Sequence[BaseRoute]) -> str:
    """A sentence for who asked for `scope`; empty if nothing is known to help."""
    path = scope["path"].strip("/")
    for end, name in _OTHER_APIS.items():
        if path.removeprefix("v1/") == end:
            there = any(getattr(route, "path", "") == "/docs" for route in routes)
            where = "; /docs has the whole of it" if there else ""
            return f"this server has no {name}, but the Responses API: POST /v1/responses{where}"
    parts = list[str]()
    for part in path.split("/"):
        if part not in ("v1", "responses") or part not in parts[-1:]:
            parts.append(part)
    meant = "/" + "/".join(parts if parts[:1] == ["v1"] else ["v1", *parts])
    if meant == scope["path"] or not _is_there({**scope, "path": meant}, routes):
        return ""
    return f"did you mean {meant}? A base URL ends with /v1, once, and without what comes after it: https://…/v1"


def is_doubled(path: str) -> bool:
    """Whether a part of it came twice that fits where an id should be."""
    return path == "/v1/responses/responses"


def _is_there(scope: Scope, routes: Sequence[BaseRoute]) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
