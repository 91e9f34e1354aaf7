"""Whether an answer fits the schema that its vendor could only be told of. Nobody enforces it: a misfit is logged."""

import logging
from collections.abc import Iterator

from pydantic import JsonValue

from ...core import deltas as d
from ...schema.base import JsonObject
from .events import Decoder
from .json import dumps, fields, loads, text
from .schemas import referred

MAX_CHECKS = 20_000
_log = logging.getLogger(__name__)


def instruction(schema: JsonObject | None) -> str:
    """How a vendor is told of the schema that the answer must fit; None: of JSON alone."""
    return (
        f"Answer with JSON alone, of this JSON schema:\n{dumps(schema).decode()}"
        if schema
        else "Answer with JSON alone."
    )


class Checked(Decoder):
    """Decodes as `decoder` does. An answer that doesn't fit `schema` stays as it is, and is logged, unquoted."""

    def __init__(self, decoder: Decoder, schema: JsonObject, model: str) -> None:
        self._decoder, self._schema, self._model = decoder, schema, model
        self._said, self._called = list[str](), False

    def feed(self, event: JsonObject) -> Iterator[d.Delta]:
        yield from self._watched(self._decoder.feed(event))
        self.over = self._decoder.over

    def end(self) -> Iterator[d.Delta]:
        yield from self._watched(self._decoder.end())

    def _watched(self, deltas: Iterator[d.Delta]) -> Iterator[d.Delta]:
        for delta in deltas:
            match delta:
                case d.Text():
                    self._said.append(delta.text)
                case d.ToolCall():
                    self._called = True
                case d.Finish("stop") if self._said and not self._called:
                    self._check()
                case _:
                    pass
            yield delta

    def _check(self) -> None:
        try:
            found = misfit(loads("".join(self._said)), self._schema, self._schema)
        except ValueError:
            found = "it is not JSON"
        except (RecursionError, TypeError):  # of a schema that refers to itself, or is none
            found = ""
        if found:
            _log.warning("the answer of %s does not fit the schema of its request: %s", self._model, found)


def misfit(value: JsonValue, schema: JsonValue, root: JsonObject) -> str:
    """Where `value` doesn't fit, by the keywords that most schemas are made of; empty where nothing tells so."""
    return _Fitting(root).misfit(value, schema, "$")


class _Fitting:
    """One answer held to one schema. After `MAX_CHECKS` values it is not known whether it fits: alternatives that refer
    to their schema again multiply with each level.
    """

    def __init__(self, root: JsonObject) -> None:
        self._root, self._left = root, MAX_CHECKS

    def misfit(self, value: JsonValue, schema: JsonValue, at: str) -> str:
        self._left -= 1
        if self._left < 0:
            return ""
        rules = fields(schema)
        if ref := text(rules.get("$ref")):
            rules = referred(ref, self._root)
        options = _list(rules.get("anyOf")) or _list(rules.get("oneOf"))
        if options and all(self.misfit(value, each, at) for each in options):
            return at
        kinds = _list(rules.get("type")) or [kind for kind in (rules.get("type"),) if kind]
        constants = _list(rules.get("enum")) or ([rules["const"]] if "const" in rules else [])
        if (kinds and not any(_is(value, kind) for kind in kinds)) or (constants and value not in constants):
            return at
        if isinstance(value, list):
            inner = [(each, rules.get("items"), f"{at}[{index}]") for index, each in enumerate(value)]
        elif isinstance(value, dict):
            known = fields(rules.get("properties"))
            if missing := [name for name in _list(rules.get("required")) if name not in value]:
                return f"{at}.{missing[0]}"
            if rules.get("additionalProperties") is False and not value.keys() <= known.keys():
                return at
            inner = [(each, known[name], f"{at}.{name}") for name, each in value.items() if name in known]
        else:
            return ""
        return next((found for each, rule, place in inner if (found := self.misfit(each, rule, place))), "")


_KINDS: dict[JsonValue, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


def _is(value: JsonValue, kind: JsonValue) -> bool:
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    number = kind in ("integer", "number") and isinstance(value, bool)
    return not number and isinstance(value, _KINDS.get(kind, object))


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
