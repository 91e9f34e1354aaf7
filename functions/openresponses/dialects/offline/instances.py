"""Instances of a JSON schema, made without chance: the same schema and words always give the same value.

A value is taken from the user's words if they hold one that fits; otherwise it is the schema's constant, default or
first member, or a small value of its type. An optional property is left out unless the words hold a value for it.
It knows the keywords of plain typed models, and ignores all others, `pattern` among them. What the budget does not
allow is null, or left out. Knows nothing of models or turns.
"""

import math
import re
import sys
from collections.abc import Iterator
from itertools import takewhile

from pydantic import JsonValue

from ...schema.base import JsonObject
from .budget import Budget
from .hints import expression, number, quoted_or_named

_SEARCHED = 1_000
"""Characters of the words that are searched for values."""
_SAID = 500
"""Characters of the words that a text without a limit repeats."""
_NAMED = 64
"""Characters of an enum's member that is looked for in the words."""
_MAX_DEPTH = 6
"""Deeper than this, arrays are empty and what may be null is null, so that a recursive schema ends."""
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "email": "demo@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_KEYWORDS = (
    "$ref", "anyOf", "const", "default", "enum", "format", "items", "maxItems", "maxLength", "maximum", "minItems",
    "minimum", "oneOf", "properties", "required", "type",
)  # fmt: skip
_COMPARED = 8
"""Looks that comparing a member of an enum with the words takes."""
_LONGEST = 1_000
"""Characters of a reference."""
_ALTERNATIVES = 16
"""Those after them are not considered."""
_WORD = re.compile(r"\w+")


def instance(schema: JsonObject, words: str, budget: Budget) -> JsonValue:
    """A value that `schema` accepts, if it uses no other keywords than are known here, and the budget allows it."""
    return _Maker(schema, words[:_SEARCHED].strip(), budget).make(schema, "", 0)


class _Maker:
    def __init__(self, root: JsonObject, words: str, budget: Budget) -> None:
        self._root, self._words, self._budget = root, words, budget
        self._number, self._expression, self._name = number(words), expression(words), quoted_or_named(words)
        self._spoken = _joined(words)

    def make(self, schema: JsonValue, name: str, depth: int) -> JsonValue:
        if depth > 2 * _MAX_DEPTH or not self._budget.look():
            return None
        rules = self._resolved(schema, depth)
        said = self._said(rules, name)
        if said is not None:
            return self._budget.copy(said)
        if "const" in rules or "default" in rules:
            return self._budget.copy(rules.get("const", rules.get("default")))
        if isinstance(members := rules.get("enum"), list) and members:
            return self._budget.copy(members[0])
        match _kind(rules):
            case "object":
                return self._object(rules, depth)
            case "array":
                least = max(_limit(rules, "minItems", 0), 0 if depth >= _MAX_DEPTH else 1)
                size = int(min(least, _limit(rules, "maxItems", least)))
                return list(self._items(size, rules.get("items"), name, depth))
            case "integer" | "number":
                return self._budget.copy(_number(rules, 1))
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._budget.copy(_text(rules, self._words or "text"))

    def _items(self, size: int, schema: JsonValue, name: str, depth: int) -> Iterator[JsonValue]:
        for _ in range(size):
            if not self._budget.look():
                break
            yield self.make(schema, name, depth + 1)

    def _object(self, rules: JsonObject, depth: int) -> JsonValue:
        properties, required = rules.get("properties"), self._required(rules)
        made: JsonObject = {}
        for name, schema in properties.items() if isinstance(properties, dict) else ():
            if not self._budget.look():
                break
            if name in required:
                if self._budget.write(len(name)):
                    made[name] = self.make(schema, name, depth + 1)
                continue
            said = self._said(self._resolved(schema, depth + 1), name)
            if said is not None and self._budget.write(len(name)):
                made[name] = self._budget.copy(said)
        return made

    def _required(self, rules: JsonObject) -> set[str]:
        required = rules.get("required")
        if not isinstance(required, list) or not self._budget.look(len(required)):
            return set()
        return {name for name in required if isinstance(name, str)}

    def _said(self, rules: JsonObject, name: str) -> JsonValue:
        """What the user's words say that this value should be; None if they don't."""
        members = rules.get("enum")
        if "const" in rules:
            return None
        if isinstance(members, list):
            compared = takewhile(lambda _: self._budget.look(_COMPARED), members)
            return next(filter(self._is_spoken, compared), None)
        match _kind(rules):
            case "integer" | "number":
                return None if self._number is None else _number(rules, self._number)
            case "string" if "format" not in rules:
                said = self._expression if name == "expression" else self._name
                return _text(rules, said) if said else None
            case _:
                return None

    def _is_spoken(self, member: JsonValue) -> bool:
        if isinstance(member, int) and abs(member) <= sys.maxsize:
            member = str(member)
        if not isinstance(member, str) or len(member) > _NAMED:
            return False
        wanted = _joined(member)
        return wanted in self._spoken if wanted.strip() else False

    def _resolved(self, schema: JsonValue, depth: int) -> JsonObject:
        """`schema` without references and alternatives: the first alternative is chosen that is not null."""
        rules = _known(schema)
        for _ in range(2 * _MAX_DEPTH):
            if not self._budget.look():
                break
            pointer, *alternatives = (rules.pop(key, None) for key in ("$ref", "anyOf", "oneOf"))
            branches = next(filter(None, alternatives), None)
            if isinstance(pointer, str):
                chosen = self._at(pointer)
            elif isinstance(branches, list):
                chosen = _branch(branches[:_ALTERNATIVES], depth)
            else:
                return rules
            rules = {**_known(chosen), **rules}
        return {"type": "null"}

    def _at(self, pointer: str) -> JsonValue:
        found: JsonValue = self._root
        for step in pointer.removeprefix("#").split("/")[1:] if len(pointer) <= _LONGEST else ():
            found = found.get(step) if isinstance(found, dict) else None
        return found


def _known(schema: JsonValue) -> JsonObject:
    """The keywords that are known here."""
    return {key: schema[key] for key in _KEYWORDS if key in schema} if isinstance(schema, dict) else {}


def _joined(text: str) -> str:
    """The words of `text` in lower case, with a space before and after each."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _branch(branches: list[JsonValue], depth: int) -> JsonValue:
    null: JsonValue = {"type": "null"}
    if depth >= _MAX_DEPTH and null in branches:
        return null
    return next((each for each in branches if each != null), null)


def _kind(rules: JsonObject) -> str:
    kind = rules.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind[:_ALTERNATIVES] if each != "null"), "null")
    return kind if isinstance(kind, str) else "object" if "properties" in rules else "string"


def _limit(rules: JsonObject, key: str, otherwise: float) -> float:
    """`otherwise` also where the limit is no number that JSON can say."""
    value = rules.get(key)
    return value if isinstance(value, int | float) and abs(value) <= sys.float_info.max else otherwise


def _number(rules: JsonObject, wanted: float) -> JsonValue:
    """The number nearest to `wanted` between `minimum` and `maximum`."""
    value = min(max(wanted, _limit(rules, "minimum", wanted)), _limit(rules, "maximum", math.inf))
    return int(value) if value == int(value) or rules.get("type") == "integer" else value


def _text(rules: JsonObject, words: str) -> str:
    kind = rules.get("format")
    known = _FORMATS.get(kind) if isinstance(kind, str) else None
    return known or words[: max(0, int(min(_limit(rules, "maxLength", _SAID), _SEARCHED)))]
