"""The table of routes. The application serves what stands here, and the OpenAPI document tells it."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..schema.base import Wire
from ..schema.compact import CompactRequest
from ..schema.request import CreateResponse
from .body import ListQuery, Query, ResponsesQuery, RetrieveQuery
from .call import Call
from .compact import compact
from .create import create
from .headers import SPEC_VERSION
from .input_tokens import input_tokens
from .models import model, models
from .stored import cancel, delete, input_items, responses, retrieve


class Keyed(NamedTuple):
    """Answers who has a key."""

    answer: Callable[[Call], Awaitable[Response]]


class Open(NamedTuple):
    """Answers everybody."""

    answer: Callable[[Request], Awaitable[Response]]


Shown: TypeAlias = Literal["a response", "a response or its events", "a compaction", "other JSON"]


class Operation(NamedTuple):
    """`query` and `body` name the models that read a request, `shows` says what an answer is."""

    method: str
    path: str
    endpoint: Keyed | Open
    summary: str
    shows: Shown = "other JSON"
    query: type[Query] | None = None
    body: type[Wire] | None = None


async def health(_: Request) -> Response:
    return JSONResponse({"status": "ok", "version": SPEC_VERSION})


_STORED = "/v1/responses/{response_id}"
OPERATIONS = (
    Operation(
        "POST",
        "/v1/responses",
        Keyed(create),
        "Create a response",
        shows="a response or its events",
        body=CreateResponse,
    ),
    Operation("GET", "/v1/responses", Keyed(responses), "List responses", query=ResponsesQuery),
    Operation(
        "POST",
        "/v1/responses/compact",
        Keyed(compact),
        "Compact a conversation",
        shows="a compaction",
        body=CompactRequest,
    ),
    Operation(
        "POST", "/v1/responses/input_tokens", Keyed(input_tokens), "Count the tokens of an input", body=CreateResponse
    ),
    Operation(
        "GET",
        _STORED,
        Keyed(retrieve),
        "Read a response, or follow its events",
        shows="a response or its events",
        query=RetrieveQuery,
    ),
    Operation("DELETE", _STORED, Keyed(delete), "Delete a response"),
    Operation("POST", f"{_STORED}/cancel", Keyed(cancel), "Cancel a response", shows="a response"),
    Operation("GET", f"{_STORED}/input_items", Keyed(input_items), "List what the model was shown", query=ListQuery),
    Operation("GET", "/v1/models", Keyed(models), "List models"),
    Operation("GET", "/v1/models/{model:path}", Keyed(model), "Read a model"),
    Operation("GET", "/health", Open(health), "Is it up"),
)
