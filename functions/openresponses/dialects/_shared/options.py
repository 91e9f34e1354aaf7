"""What a request asks of its provider: its own options, `provider.options.<name>`, added to the body that a dialect
encodes; and what it may ask for in more than one way."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ...core.errors import RequestError
from ...core.settings import ProviderSettings
from ...schema.base import JsonObject
from ...schema.request import CreateResponse
from .json import fields


class Options(BaseModel):
    """A dialect's switches. The table in its module says what they do."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Kind = TypeVar("Kind", bound=Options)


def read_options(kind: type[Kind], settings: ProviderSettings, hosts: Mapping[str, JsonObject] | None = None) -> Kind:
    """The settings' options over the host's. Raises ValueError that names a wrong option, without its value."""
    host = settings.base_url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    known: JsonObject = {}
    for name, options in (hosts or {}).items():
        if host == name or host.endswith("." + name):
            known = options
    try:
        return kind.model_validate(known | settings.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"provider {settings.name!r}: options.{where}: {first['msg']}") from None


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
