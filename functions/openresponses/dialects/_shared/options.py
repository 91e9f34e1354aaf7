"""What a request asks of its provider: its own options, `provider.options.<name>`, added to the body that a dialect
encodes; and what it may ask for in more than one way.

A request may set only what a dialect's table `ALLOWED` lists, by its path on the wire: what is not listed could choose
another model, run a paid tool, or reach what other clients stored. A new field of a vendor's is refused until it is
listed.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from ...core.errors import RequestError
from ...core.settings import UNKNOWN_FIELD, BadField, ProviderSettings
from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.request import CreateResponse
from .facts import Fact, facts_of
from .json import fields, text
from .vendors import Vendor, vendor_at


class Options(BaseModel):
    """A dialect's switches. The table in its module says what they do. These are every dialect's:

    - `vendor` is the one whose rules count. By default, it is the one whose host `base_url` names.
    - `allow_options`: paths of fields that a request may set too, with all that is in them.
    - `shared_files`: a request may name what is stored in the provider's account (see `shared_state`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vendor: Vendor = ""
    allow_options: tuple[Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")], ...] = ()
    shared_files: Annotated[bool, Field(strict=True)] = False


Kind = TypeVar("Kind", bound=Options)


def vendor_of(settings: ProviderSettings) -> str:
    return text(settings.options.get("vendor")) or vendor_at(settings.base_url)


def read_options(kind: type[Kind], settings: ProviderSettings, facts: Iterable[Fact] = (), model: str = "") -> Kind:
    """The settings' options over what `facts` say of the vendor and the model: `vendor/model` in their patterns, in
    lower case.

    Raises BadField.
    """
    vendor = vendor_of(settings)
    known = {"vendor": vendor} | facts_of(facts, f"{vendor}/{model}".lower())
    try:
        return kind.model_validate(known | settings.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        what = UNKNOWN_FIELD if first["type"] == "extra_forbidden" else first["msg"]
        raise BadField(("options", *first["loc"]), what, of=f"provider {settings.name!r}") from None


LOGPROBS = "message.output_text.logprobs"
MOST_BYTES = 16 * 1024
"""Of one provider's options, as JSON: a `logit_bias` of a thousand tokens, and no second prompt."""


def wants_logprobs(request: CreateResponse) -> bool:
    return bool(request.top_logprobs) or LOGPROBS in (request.include or ())


class May(NamedTuple):
    """That a request may set a field: why that is harmless, and to which values alone, if not to any.

    Harmless is what chooses no other model, costs nothing beyond the turn's own tokens, runs no tool, names nothing
    that is stored, and leaves the stream as it is.
    """

    why: str
    values: tuple[JsonValue, ...] = ()


def with_options(body: JsonObject, turn: Turn, settings: ProviderSettings, may: Iterable[Fact]) -> JsonObject:
    """`body` and the fields that the request has for this provider. `may` are the rows of `ALLOWED`: paths with dots,
    by `vendor/model`.

    Raises RequestError that names a field which is not allowed, or which the server sets itself: whatever the standard
    has a field for is said in that field.
    """
    asked = (turn.request.provider.options if turn.request.provider else {}).get(settings.name)
    if not asked:
        return body
    where = f"provider.options.{settings.name}"
    if not _is_small(asked):
        raise RequestError(f"The options are no JSON of at most {MOST_BYTES} bytes", param=where)
    listed: dict[str, May] = facts_of(may, f"{vendor_of(settings)}/{turn.model}".lower())
    widened = settings.options.get("allow_options")
    return _merged(body, asked, where, _tree(listed, widened if isinstance(widened, list) else []))


_Tree: TypeAlias = dict[str, "_Tree | May | None"]
"""What is allowed of an object's fields. None: all that is there."""


def _tree(listed: Mapping[str, May], widened: Iterable[JsonValue]) -> _Tree:
    tree: _Tree = {}
    for path, rule in (*listed.items(), *((str(path), None) for path in widened)):
        *folders, name = path.split(".")
        node: _Tree | None = tree
        for folder in folders:
            inside = node.setdefault(folder, {})
            node = inside if isinstance(inside, dict) else None
            if node is None:
                break
        else:
            node[name] = rule
    return tree


def _merged(body: JsonObject, asked: JsonObject, where: str, allowed: _Tree | None) -> JsonObject:
    merged = dict(body)
    for name, value in asked.items():
        param, there = f"{where}.{name}", body.get(name)
        if allowed is not None and name not in allowed:
            raise RequestError(f"{name!r} is not an option that a request may set", param=param)
        rule = allowed[name] if allowed is not None else None
        is_folder = isinstance(rule, dict) or (rule is None and isinstance(there, dict))
        if is_folder and isinstance(value, dict) and (name not in body or isinstance(there, dict)):
            merged[name] = _merged(fields(there), value, param, rule if isinstance(rule, dict) else None)
        elif name in body:
            raise RequestError(f"{name!r} is not an option: the server sets it", param=param)
        elif isinstance(rule, dict) or (isinstance(rule, May) and not _fits(value, rule)):
            raise RequestError(f"{name!r} is not an option that a request may set to this", param=param)
        else:
            merged[name] = value
    return merged


def _is_small(options: JsonObject) -> bool:
    try:
        return len(json.dumps(options, allow_nan=False)) <= MOST_BYTES
    except (ValueError, RecursionError):
        return False


def _fits(value: JsonValue, rule: May) -> bool:
    """A word or a number, or a flat list or object of these: nothing can hide in it."""
    if rule.values:
        return value in rule.values
    parts = value if isinstance(value, list) else [*value.values()] if isinstance(value, dict) else [value]
    return not any(isinstance(part, list | dict) for part in parts)
