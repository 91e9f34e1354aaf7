"""A request's own options for one provider: `provider.options.<name>`, added to the body that a dialect encodes."""

from ..core.errors import RequestError
from ..schema.base import JsonObject
from ..schema.request import CreateResponse

_OURS = frozenset({"model", "models", "stream", "stream_options", "messages", "input", "contents", "system", "n"})
"""Never a client's to set: some would choose another model than its key allows, some would break the stream."""


def with_options(body: JsonObject, request: CreateResponse, provider: str) -> JsonObject:
    """`body` and the fields that the request has for this provider. Raises RequestError for one that is set already:
    whatever the standard has a field for is said in that field.
    """
    options = (request.provider.options if request.provider else {}).get(provider, {})
    for name in options:
        if name in _OURS or name in body:
            param = f"provider.options.{provider}.{name}"
            raise RequestError(f"{name!r} is not an option: the server sets it", param=param)
    return body | options
