"""What a request asks of its provider: its own options, `provider.options.<name>`, added to the body that a dialect
encodes; and what it may ask for in more than one way."""

from ..core.errors import RequestError
from ..schema.base import JsonObject
from ..schema.request import CreateResponse
from ._json import fields

LOGPROBS = "message.output_text.logprobs"
_OURS = frozenset(
    {"model", "models", "modelId", "stream", "stream_options", "messages", "input", "contents", "system", "toolConfig"}
    | {"n", "candidateCount"}
)
"""Never a client's to set: some would choose another model than its key allows, some would break the stream."""


def wants_logprobs(request: CreateResponse) -> bool:
    return bool(request.top_logprobs) or LOGPROBS in (request.include or ())


def with_options(
    body: JsonObject,
    request: CreateResponse,
    provider: str,
    *,
    nested: str | tuple[str, ...] = (),
    reserved: frozenset[str] = frozenset(),
) -> JsonObject:
    """`body` and the fields that the request has for this provider. Raises RequestError for one that is set already:
    whatever the standard has a field for is said in that field. The same holds for the fields of `nested`, objects
    of the body that most settings of the vendor are in. `reserved` are fields that the dialect keeps for itself.
    """
    options = (request.provider.options if request.provider else {}).get(provider, {})
    objects = (nested,) if isinstance(nested, str) else nested
    return _merged(body, options, f"provider.options.{provider}", objects, _OURS | reserved)


def _merged(
    body: JsonObject, options: JsonObject, where: str, nested: tuple[str, ...], ours: frozenset[str]
) -> JsonObject:
    merged = dict(body)
    for name, value in options.items():
        if name in nested and isinstance(value, dict):
            merged[name] = _merged(fields(body.get(name)), value, f"{where}.{name}", (), ours)
        elif name in ours or name in body:
            raise RequestError(f"{name!r} is not an option: the server sets it", param=f"{where}.{name}")
        else:
            merged[name] = value
    return merged
