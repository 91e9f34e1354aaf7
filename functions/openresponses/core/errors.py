"""Every error that the product raises, and the status that a client gets.

KitError                         500
├── StorageUnavailable           503  a store did not answer, after retries: try again
│   └── NotStarted               503  the state machine did not start: nothing is lost by waiting long
├── Superseded                   409  another worker has this response now, or it is gone: stop writing
├── Cancelled                    409  the response was cancelled: close what is open, and stop
├── ConnectionGone               410  the client of a WebSocket has left: send it nothing more
├── WorkerDied                   500  the worker that made a response on a WebSocket is gone, with the response
├── Overloaded                   503  no worker can be started: try again
├── FirstRequestFailed           409  another request had this idempotency key, and nothing is left of it: try again
├── ConnectorFailed              424  an MCP server that the request names did not tell its tools
├── DeliveryFailed               424  a webhook's endpoint did not take an event
├── RequestError                 400  the request is wrong: `param` names the field
│   ├── IdempotencyKeyReused     400
│   ├── ApprovalSpent            400  another response made the call that it approves
│   ├── UnknownServer            400  no MCP server of the deployment has this label, or the key may not use it
│   ├── ContextTooLong           400  what it leads to is more than a request may load
│   ├── Unauthorized             401
│   ├── NotFound                 404
│   ├── ConversationLocked       409  a response goes on from this conversation now, or did a moment ago: try again
│   ├── MethodNotAllowed         405
│   ├── BodyTooLarge             413
│   ├── UnsupportedMediaType     415
│   ├── NoWebSocket              426
│   ├── TooManyMessages          429  too many messages of a connection wait
│   ├── LimitReached             429  a limit of the key, or of its tenant: try again after `retry_after` seconds
│   └── ConnectionTooOld         400  a WebSocket lives an hour: connect again
└── ProviderError                502  the turn is dead
    ├── ProviderRejected         400  the provider refused the request: retry will not help
    │   └── InputTooLong         400  the model's context can't hold the input: less of it may fit
    ├── ProviderMisconfigured    502  the provider refused our key, or isn't there: an operator must act
    ├── ProviderThrottled        429  retry may help, after `retry_after` seconds
    ├── ProviderUnavailable      503  retry may help
    │   ├── ProviderTimeout      504
    │   └── TurnTimeout          504  the turn took longer than its worker lives
    ├── CompactionFailed         502  the provider wrote no summary: retry may help
    └── StreamViolation          502  the provider's stream broke its own protocol

Types and codes follow the specification's error section. Callers branch on class, never on text.
"""

from typing import ClassVar, Literal


class KitError(Exception):
    """`message` is safe to show a client: it holds no secret, no prompt and no output."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: str = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class RequestError(KitError):
    status = 400
    type = "invalid_request"
    code = "invalid_value"


class IdempotencyKeyReused(RequestError):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This idempotency key came with another body before", param="idempotency-key")


class ApprovalSpent(RequestError):
    code = "approval_spent"


class UnknownServer(RequestError):
    """A client can't tell one that its key may not use from none."""

    code = "unknown_mcp_server"

    def __init__(self, label: str, param: str = "server_label") -> None:
        what = "name one of the deployment, or say where yours is, as 'server_url'"
        super().__init__(f"There is no MCP server {label!r} here: {what}", param=param)


class ContextTooLong(RequestError):
    """Its code is OpenAI's, for an input that its model can't read: clients know it."""

    code = "context_length_exceeded"


class Unauthorized(RequestError):
    status = 401
    code = "invalid_api_key"


class NotFound(RequestError):
    status = 404
    type = "not_found"
    code = "not_found"


class ConversationLocked(RequestError):
    status = 409
    code = "conversation_locked"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: try again when it is over", param="conversation")


class MethodNotAllowed(RequestError):
    status = 405
    code = "method_not_allowed"


class BodyTooLarge(RequestError):
    status = 413
    code = "body_too_large"


class UnsupportedMediaType(RequestError):
    status = 415
    code = "unsupported_media_type"


class NoWebSocket(RequestError):
    status = 426
    code = "websocket_unsupported"


class TooManyMessages(RequestError):
    status = 429
    type = "too_many_requests"
    code = "too_many_messages"


class LimitReached(RequestError):
    """Its codes are OpenAI's: `rate_limit_exceeded`, and `insufficient_quota` where money is used up."""

    status = 429
    type = "too_many_requests"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float, code: str | None = None, left: object = None) -> None:
        """`retry_after` is infinite where no waiting helps. `left` is a `ports.Left`."""
        super().__init__(message, code=code)
        self.retry_after, self.left = retry_after, left


class ConnectionTooOld(RequestError):
    """Its code is the specification's."""

    code = "websocket_connection_limit_reached"


class StorageUnavailable(KitError):
    """`nothing_done`: what was to be written was refused, surely. Otherwise it may have been written."""

    status = 503
    code = "storage_unavailable"
    nothing_done = False


class NotStarted(StorageUnavailable):
    pass


class Superseded(KitError):
    status = 409
    code = "superseded"


class Cancelled(KitError):
    status = 409
    code = "cancelled"


class ConnectionGone(KitError):
    status = 410
    code = "connection_gone"


class WorkerDied(KitError):
    code = "worker_died"


class Overloaded(KitError):
    status = 503
    code = "overloaded"


class FirstRequestFailed(KitError):
    """With a status on which OpenAI's SDKs send the request again."""

    status = 409
    type = "invalid_request"
    code = "first_request_failed"

    def __init__(self) -> None:
        super().__init__(
            "The request that came first with this idempotency key failed: send it again", param="idempotency-key"
        )


class ConnectorFailed(KitError):
    """Its status, type and code are OpenAI's, for an MCP server whose tools can't be listed."""

    status = 424
    type = "external_connector_error"
    code = "http_error"

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"Error retrieving tool list from MCP server: '{label}'. {reason}", param="tools")


class DeliveryFailed(KitError):
    """Its type is OpenAI's, for a server of the client's that fails. `answered` is the HTTP status that came, if one
    did.
    """

    status = 424
    type = "external_connector_error"
    code = "webhook_not_delivered"

    def __init__(self, reason: str, *, answered: int | None = None) -> None:
        super().__init__(reason)
        self.answered = answered


class ProviderError(KitError):
    """`cause` says what failed: to find the provider's name, to connect to it, TLS, or its answer. `quotes`: the
    message has the provider's own words, which may quote what was asked: no log has them.
    """

    status = 502
    type = "model_error"
    code = "provider_error"
    cause: Literal["name", "connection", "tls", "answer"] = "answer"
    quotes: bool = False


class ProviderRejected(ProviderError):
    quotes = True
    status = 400
    type = "invalid_request"
    code = "provider_rejected"


class InputTooLong(ProviderRejected):
    """`tokens` is what the provider counted, and `most` what it takes; 0 where it doesn't say so."""

    code = "context_length_exceeded"

    def __init__(self, message: str, *, tokens: int = 0, most: int = 0) -> None:
        super().__init__(message, param="input")
        self.tokens, self.most = tokens, most


class ProviderMisconfigured(ProviderError):
    code = "provider_misconfigured"


class ProviderThrottled(ProviderError):
    status = 429
    type = "too_many_requests"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailable(ProviderError):
    status = 503
    code = "provider_unavailable"


class ProviderTimeout(ProviderUnavailable):
    status = 504
    code = "provider_timeout"


class TurnTimeout(ProviderUnavailable):
    status = 504
    code = "turn_timeout"


class StreamViolation(ProviderError):
    code = "provider_stream_broken"


class CompactionFailed(ProviderError):
    code = "compaction_failed"
