"""What a request asks of its provider: its own options, `provider.options.<name>`, added to the body that a dialect
encodes; and what it may ask for in more than one way."""

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ...core.errors import RequestError
from ...core.settings import ProviderSettings
from ...schema.base import JsonObject
from ...schema.request import CreateResponse
from .facts import Fact, facts_of
from .json import fields, text
from .vendors import Vendor, vendor_at


class Options(BaseModel):
    """A dialect's switches. The table in its module says what they do.

    `vendor` is the one whose rules count. By default, it is the one whose host `base_url` names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vendor: Vendor = ""


Kind = TypeVar("Kind", bound=Options)


def read_options(kind: type[Kind], settings: ProviderSettings, facts: Iterable[Fact] = (), model: str = "") -> Kind:
    """The settings' options over what `facts` say of the vendor and the model: `vendor/model` in their patterns, in
    lower case.

    Raises ValueError that names a wrong option, without its value.
    """
    vendor = text(settings.options.get("vendor")) or vendor_at(settings.base_url)
    known = {"vendor": vendor} | facts_of(facts, f"{vendor}/{model}".lower())
    try:
        return kind.model_validate(known | settings.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"provider {settings.name!r}: options.{where}: {first['msg']}") from None


LOGPROBS = "message.output_text.logprobs"
_RESERVED = frozenset({"model", "models", "stream"})
"""No client sets these, on any wire: it would choose another model than its key allows, or break the stream."""


def wants_logprobs(request: CreateResponse) -> bool:
    return bool(request.top_logprobs) or LOGPROBS in (request.include or ())


def with_options(
    body: JsonObject,
    request: CreateResponse,
    provider: str,
    nested: tuple[str, ...] = (),
    reserved: frozenset[str] = frozenset(),
) -> JsonObject:
    """`body` and the fields that the request has for this provider. Raises RequestError for one that is set already:
    whatever the standard has a field for is said in that field. The same holds for the fields of `nested`, objects
    of the body that most settings of the vendor are in. `reserved` are fields that only the dialect sets.
    """
    options = (request.provider.options if request.provider else {}).get(provider, {})
    return _merged(body, options, f"provider.options.{provider}", nested, _RESERVED | reserved)


def _merged(
    body: JsonObject, options: JsonObject, where: str, nested: tuple[str, ...], reserved: frozenset[str]
) -> JsonObject:
    merged = dict(body)
    for name, value in options.items():
        if name in nested and isinstance(value, dict):
            merged[name] = _merged(fields(body.get(name)), value, f"{where}.{name}", (), reserved)
        elif name in reserved or name in body:
            raise RequestError(f"{name!r} is not an option: the server sets it", param=f"{where}.{name}")
        else:
            merged[name] = value
    return merged
