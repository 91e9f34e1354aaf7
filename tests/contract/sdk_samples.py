"""Values of a type of OpenAI's SDK, made from its hints: each alternative of each union comes in at least one."""

from __future__ import annotations

import collections.abc
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from typing_extensions import is_typeddict

Json = dict[str, Any]
_BY_NAME = {
    "image_url": "data:image/png;base64,iVBORw0KGgo=",
    "file_data": "data:application/pdf;base64,JVBERi0xLjQKJSVFT0YK",
    "filename": "paper.pdf",
    "file_url": "https://example.com/paper.pdf",
    "server_url": "https://example.com/mcp",
}


class Fields(Enum):
    """Which fields of a type its values have."""

    ALL = "all"
    REQUIRED = "only those that are required"
    NULL = "all, null where that is allowed"


def members(union: Any) -> list[Any]:
    return [
        typing.get_args(each)[0] if typing.get_origin(each) is typing.Annotated else each
        for each in typing.get_args(union)
    ]


def samples(hint: Any, fields: Fields, name: str = "") -> list[Any]:
    """Raises TypeError for a hint of a kind that this doesn't know, so that none is left out unseen."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired) or hasattr(hint, "__supertype__"):
        return samples(args[0], fields, name)
    if origin is typing.Literal:
        return list(args)
    if origin is typing.Union:
        if type(None) in args and fields is Fields.NULL:
            return [None]
        return [value for each in args if each is not type(None) for value in samples(each, fields, name)]
    if is_typeddict(hint):
        return list(_objects(hint, fields))
    if origin is dict:
        return [{"key": value} for value in samples(args[1], fields, name)]
    if (
        origin in (list, collections.abc.Iterable, collections.abc.Sequence)
        or getattr(origin, "__name__", "") == "SequenceNotStr"
    ):
        return [[value] for value in samples(args[0], fields, name)]
    plain = {str: _BY_NAME.get(name, name or "text"), int: 1, float: 0.5, bool: True, object: {}}
    if hint in plain:
        return [plain[hint]]
    raise TypeError(f"{name}: a hint of an unknown kind: {hint!r}")


def _objects(kind: Any, fields: Fields) -> Iterator[Json]:
    """As many as its field with the most values has; the others begin anew."""
    hints = typing.get_type_hints(kind, include_extras=True)
    is_wanted = {
        name: fields is not Fields.REQUIRED or typing.get_origin(hint) is typing.Required
        for name, hint in hints.items()
    }
    values = {name: samples(hint, fields, name) for name, hint in hints.items() if is_wanted[name]}
    for index in range(max(map(len, values.values()), default=1)):
        yield {name: each[index % len(each)] for name, each in values.items()}
