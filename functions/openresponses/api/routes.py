"""The table of routes. The application serves what stands here, and the OpenAPI document tells it."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..schema.base import Wire
from ..schema.compact import CompactRequest
from ..schema.conversation import ConversationChange, NewConversation, NewItems
from ..schema.request import CreateResponse
from ..schema.webhooks import EndpointChange, EndpointTrial, NewEndpoint, SecretRotation
from .body import EndpointsQuery, IncludeQuery, ItemsQuery, ListQuery, Query, ResponsesQuery, RetrieveQuery, UsageQuery
from .call import Call
from .compact import compact
from .conversations import (
    create_conversation,
    create_items,
    delete_conversation,
    delete_item,
    list_items,
    retrieve_conversation,
    retrieve_item,
    update_conversation,
)
from .create import create
from .headers import SPEC_VERSION
from .input_tokens import input_tokens
from .models import model, models
from .stored import cancel, delete, input_items, responses, retrieve
from .usage import usage
from .webhooks import (
    create_endpoint,
    dead_letters,
    delete_endpoint,
    event_types,
    list_endpoints,
    retrieve_endpoint,
    rotate_secret,
    try_endpoint,
    update_endpoint,
)


class Keyed(NamedTuple):
    """Answers who has a key."""

    answer: Callable[[Call], Awaitable[Response]]


class Open(NamedTuple):
    """Answers everybody."""

    answer: Callable[[Request], Awaitable[Response]]


Shown: TypeAlias = Literal[
    "a response", "a response or its events", "a stored response or its events", "a compaction", "other JSON"
]


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
_CONVERSATIONS = "/v1/conversations"
_CONVERSATION = f"{_CONVERSATIONS}/{{conversation_id}}"
_ITEMS = f"{_CONVERSATION}/items"
_ITEM = f"{_ITEMS}/{{item_id}}"
_ENDPOINTS = "/v1/webhook_endpoints"
_ENDPOINT = f"{_ENDPOINTS}/{{webhook_endpoint_id}}"
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
        "Read a response, with its timeline or without, or follow its events",
        shows="a stored response or its events",
        query=RetrieveQuery,
    ),
    Operation("DELETE", _STORED, Keyed(delete), "Delete a response"),
    Operation("POST", f"{_STORED}/cancel", Keyed(cancel), "Cancel a response", shows="a response"),
    Operation("GET", f"{_STORED}/input_items", Keyed(input_items), "List what the model was shown", query=ListQuery),
    Operation("POST", _CONVERSATIONS, Keyed(create_conversation), "Create a conversation", body=NewConversation),
    Operation("GET", _CONVERSATION, Keyed(retrieve_conversation), "Read a conversation"),
    Operation("POST", _CONVERSATION, Keyed(update_conversation), "Describe a conversation", body=ConversationChange),
    Operation("DELETE", _CONVERSATION, Keyed(delete_conversation), "Delete a conversation"),
    Operation("POST", _ITEMS, Keyed(create_items), "Add items to a conversation", query=IncludeQuery, body=NewItems),
    Operation("GET", _ITEMS, Keyed(list_items), "List the items of a conversation", query=ItemsQuery),
    Operation("GET", _ITEM, Keyed(retrieve_item), "Read an item of a conversation", query=IncludeQuery),
    Operation("DELETE", _ITEM, Keyed(delete_item), "Remove an item from a conversation"),
    Operation("GET", _ENDPOINTS, Keyed(list_endpoints), "List webhook endpoints", query=EndpointsQuery),
    Operation("POST", _ENDPOINTS, Keyed(create_endpoint), "Create a webhook endpoint", body=NewEndpoint),
    Operation("GET", _ENDPOINT, Keyed(retrieve_endpoint), "Read a webhook endpoint"),
    Operation("POST", _ENDPOINT, Keyed(update_endpoint), "Change a webhook endpoint", body=EndpointChange),
    Operation("DELETE", _ENDPOINT, Keyed(delete_endpoint), "Remove a webhook endpoint"),
    Operation("POST", f"{_ENDPOINT}/test", Keyed(try_endpoint), "Send a test event", body=EndpointTrial),
    Operation("POST", f"{_ENDPOINT}/rotate_secret", Keyed(rotate_secret), "Rotate its secret", body=SecretRotation),
    Operation("GET", "/v1/webhook_event_types", Keyed(event_types), "List the types of events"),
    Operation("GET", "/v1/webhook_dead_letters", Keyed(dead_letters), "List the events that were given up"),
    Operation("GET", "/v1/models", Keyed(models), "List models"),
    Operation("GET", "/v1/models/{model:path}", Keyed(model), "Read a model"),
    Operation("GET", "/v1/usage", Keyed(usage), "Read what the key has used, and what it cost", query=UsageQuery),
    Operation("GET", "/health", Open(health), "Is it up"),
)
