"""Instances of a JSON schema, made without chance: the same schema and words always give the same value.

A value is taken from the user's words if they hold one that fits; otherwise it is the schema's constant, default or
first member, or a small value of its type. An optional property is left out unless the words hold a value for it.
It knows the keywords of plain typed models, and ignores all others. Knows nothing of models or turns.
"""

import math
import re

from pydantic import JsonValue

from ...schema.base import JsonObject

_SEARCHED = 1_000
"""Characters of the words that are searched for values."""
_MAX_DEPTH = 6
"""Deeper than this, arrays are empty and what may be null is null, so that a recursive schema ends."""
_MAX_VALUES = 1_000
"""Values in an instance: all others are null."""
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "email": "demo@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_ARITHMETIC = re.compile(r"[\d(][\d\s.+\-*/%^()]*[\d)]|\d")
_OPERATION = re.compile(r"\d\s*\)*\s*[-+*/%^]")
_NUMBER = re.compile(r"(?<![\w.-])-?\d{1,15}(?:\.\d+)?(?!\.?\d)")
_QUOTATION = re.compile(r"[\"\u201c]([^\"\u201d]+)[\"\u201d]")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'/-]+(?: [A-Z][\w'/-]+)*")
"""Capitalised words that don't begin a sentence."""


def instance(schema: JsonObject, words: str) -> JsonValue:
    """A value that `schema` accepts, if it uses no other keywords than are known here."""
    return _Maker(schema, words.strip()[:_SEARCHED]).make(schema, "", 0)


class _Maker:
    def __init__(self, root: JsonObject, words: str) -> None:
        self._root, self._words = root, words
        self._left = _MAX_VALUES

    def make(self, schema: JsonValue, name: str, depth: int) -> JsonValue:
        self._left -= 1
        if self._left < 0 or depth > 2 * _MAX_DEPTH:
            return None
        rules = self._resolved(schema, depth)
        said = self._said(rules, name)
        if said is not None:
            return said
        if "const" in rules or "default" in rules:
            return rules.get("const", rules.get("default"))
        if isinstance(members := rules.get("enum"), list) and members:
            return members[0]
        match _kind(rules):
            case "object":
                return self._object(rules, depth)
            case "array":
                size = int(max(_limit(rules, "minItems", 0), 0 if depth >= _MAX_DEPTH else 1))
                size = int(min(size, _limit(rules, "maxItems", math.inf), self._left + 1))
                return [self.make(rules.get("items"), name, depth + 1) for _ in range(size)]
            case "integer" | "number":
                return _number(rules, 1)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _text(rules, self._words or "text")

    def _object(self, rules: JsonObject, depth: int) -> JsonValue:
        properties, required = rules.get("properties"), rules.get("required")
        made: JsonObject = {}
        for name, schema in properties.items() if isinstance(properties, dict) else ():
            if isinstance(required, list) and name in required:
                made[name] = self.make(schema, name, depth + 1)
            elif (said := self._said(self._resolved(schema, depth + 1), name)) is not None:
                made[name] = said
        return made

    def _said(self, rules: JsonObject, name: str) -> JsonValue:
        """What the user's words say that this value should be; None if they don't."""
        members, words = rules.get("enum"), self._words
        if "const" in rules:
            return None
        if isinstance(members, list):
            return next((each for each in members if re.search(rf"(?i)\b{re.escape(str(each))}\b", words)), None)
        match _kind(rules):
            case "integer" | "number":
                number = _NUMBER.search(words)
                return _number(rules, float(number[0])) if number else None
            case "string" if "format" not in rules:
                said = _expression(words) if name == "expression" else _quoted_or_named(words)
                return _text(rules, said) if said else None
            case _:
                return None

    def _resolved(self, schema: JsonValue, depth: int) -> JsonObject:
        """`schema` without references and alternatives: the first alternative is chosen that is not null."""
        rules: JsonObject = schema if isinstance(schema, dict) else {}
        for _ in range(2 * _MAX_DEPTH):
            pointer, branches = rules.get("$ref"), rules.get("anyOf") or rules.get("oneOf")
            if isinstance(pointer, str):
                chosen = self._at(pointer)
            elif isinstance(branches, list):
                chosen = _branch(branches, depth)
            else:
                return rules
            rest = {key: value for key, value in rules.items() if key not in ("$ref", "anyOf", "oneOf")}
            rules = {**chosen, **rest} if isinstance(chosen, dict) else rest
        return {"type": "null"}

    def _at(self, pointer: str) -> JsonValue:
        found: JsonValue = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            found = found.get(step) if isinstance(found, dict) else None
        return found


def _branch(branches: list[JsonValue], depth: int) -> JsonValue:
    null: JsonValue = {"type": "null"}
    if depth >= _MAX_DEPTH and null in branches:
        return null
    return next((each for each in branches if each != null), null)


def _kind(rules: JsonObject) -> str:
    kind = rules.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    return kind if isinstance(kind, str) else "object" if "properties" in rules else "string"


def _limit(rules: JsonObject, key: str, otherwise: float) -> float:
    value = rules.get(key)
    return value if isinstance(value, int | float) else otherwise


def _number(rules: JsonObject, wanted: float) -> JsonValue:
    """The number nearest to `wanted` between `minimum` and `maximum`."""
    value = min(max(wanted, _limit(rules, "minimum", -math.inf)), _limit(rules, "maximum", math.inf))
    return int(value) if value == int(value) or rules.get("type") == "integer" else value


def _text(rules: JsonObject, words: str) -> str:
    return _FORMATS.get(str(rules.get("format")), words[: int(_limit(rules, "maxLength", 500))])


def _expression(words: str) -> str | None:
    """The first piece of arithmetic with an operator, else the first number."""
    runs = [found[0].strip() for found in _ARITHMETIC.finditer(words)]
    return next((run for run in runs if _OPERATION.search(run)), runs[0] if runs else None)


def _quoted_or_named(words: str) -> str | None:
    if quotation := _QUOTATION.search(words):
        return quotation[1]
    name = _NAME.search(words)
    return name[0] if name else None
