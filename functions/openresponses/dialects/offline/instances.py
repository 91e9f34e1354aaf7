"""Instances of a JSON schema, made without chance: the same schema and words always give the same value.

A value is taken from the user's words where they hold one that fits; otherwise it is the schema's default,
its first example, or the smallest value of its type. An optional property is left out unless the words hold
a value for it. `not`, `if` and `dependent*` are ignored. Knows nothing of models or turns.
"""

import math
import re

from pydantic import JsonValue

from ...schema.base import JsonObject

FORMATS = {
    "date-time": (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", "2026-01-01T00:00:00Z"),
    "date": (r"\b\d{4}-\d\d-\d\d\b", "2026-01-01"),
    "time": (r"\b\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", "00:00:00Z"),
    "duration": (r"\bP(?=\d|T\d)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?\b", "PT1H"),
    "email": (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "demo@example.com"),
    "uri": (r"https?://[^\s\"'<>]*[^\s\"'<>.,;:!?)]", "https://example.com/"),
    "hostname": (r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b", "example.com"),
    "ipv4": (r"\b(?:\d{1,3}\.){3}\d{1,3}\b", "192.0.2.1"),
    "ipv6": (r"\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b", "2001:db8::1"),
    "uuid": (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "00000000-0000-4000-8000-000000000000"),
}
"""JSON schema format -> (pattern of such a value within a text, a value where the text has none)."""
_ARITHMETIC = re.compile(r"(?:\d+(?:\.\d+)?|[a-z]\w*(?=\()|\bpi\b|[-+*/%^()\u00d7\u00f7\u2212]|,(?=\s*[\w(-])|\s)+")
_OPERATION = re.compile(r"\d.*[-+*/%^\u00d7\u00f7\u2212]|\w\(")
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?!\.?\d)")
_QUOTATION = re.compile(r"[\"\u201c`]([^\"\u201d`]+)[\"\u201d`]")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'-]*(?:/[A-Z]\w*)*(?: [A-Z][\w'-]*)*")
_NOT_NAMES = {"I", "I'm", "I'll", "I'd", "I've", "JSON", "OK"}


class Hints:
    """Values found in the user's words, each handed out once."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._used: set[tuple[int, int]] = set()

    def find(self, pattern: str | re.Pattern[str], *, group: int = 0) -> str | None:
        """The first match that overlaps nothing handed out before."""
        for match in re.finditer(pattern, self.text):
            span = match.span(group)
            if match[group] not in _NOT_NAMES and not any(a < span[1] and span[0] < b for a, b in self._used):
                self._used.add(span)
                return match[group]
        return None

    def quotation(self) -> str | None:
        return self.find(_QUOTATION, group=1)

    def name(self) -> str | None:
        """A proper name: capitalised words that don't begin a sentence."""
        return self.find(_NAME)

    def number(self, named: str = "") -> float | None:
        """The number after the word `named`, else the first number."""
        after_name = self.find(rf"(?i:\b{_word(named)}\s*[:=]?\s*)(-?\d+(?:\.\d+)?)", group=1) if named else None
        said = after_name or self.find(_NUMBER)
        return None if said is None else float(said)

    def assigned(self, name: str) -> str | None:
        """`name=value` or `name: value`."""
        return self.find(rf"(?i:\b{_word(name)}\s*[:=]\s*)([^\s,;\"]+)", group=1) if name else None

    def expression(self) -> str | None:
        """The longest run of arithmetic with an operator in it, else a number."""
        runs = {_trim(match[0]) for match in _ARITHMETIC.finditer(self.text)}
        for run in sorted((run for run in runs if _OPERATION.search(run)), key=lambda run: (-len(run), run)):
            if found := self.find(re.escape(run)):
                return found
        return self.find(_NUMBER)


def _word(name: str) -> str:
    return re.escape(name).replace("_", "[_ ]")


def _trim(run: str) -> str:
    """A run of arithmetic without the punctuation of the sentence around it."""
    run = run.strip(" \t\r\n,*/%^\u00d7\u00f7").rstrip("-+\u2212")
    while run.count(")") > run.count("(") and run.endswith(")"):
        run = run[:-1].rstrip()
    while run.count("(") > run.count(")") and run.startswith("("):
        run = run[1:].lstrip()
    return run.strip()


_DEPTH = 6
"""Past this depth optional things are left out, so that a recursive schema ends."""
_PATTERNED = ("a", "A", "1", "a1", "A1", "aa", "AA", "AAA", "en-US", "0000", "00000", "1.0.0", "#000000", "+15550100")


def instance(schema: JsonObject, hints: Hints) -> JsonValue:
    """A value that `schema` accepts."""
    return _Maker(schema, hints).make(schema, "", 0)


class _Maker:
    def __init__(self, root: JsonObject, hints: Hints) -> None:
        self._root, self._hints = root, hints

    def make(self, schema: JsonValue, name: str, depth: int) -> JsonValue:
        rules = self._flat(schema, depth)
        found = self._hinted(rules, name)
        if found is not None:
            return found
        if "const" in rules:
            return rules["const"]
        for key in ("enum", "examples"):
            match rules.get(key):
                case [first, *_] if key == "enum" or "default" not in rules:
                    return first
                case _:
                    pass
        return rules["default"] if "default" in rules else self._plain(rules, name, depth)

    def _plain(self, rules: JsonObject, name: str, depth: int) -> JsonValue:
        match _kind(rules):
            case "object":
                return self._object(rules, depth)
            case "array":
                return self._array(rules, name, depth)
            case "integer" | "number":
                return _number(rules, None)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _string(rules, self._hints.text)

    def _hinted(self, rules: JsonObject, name: str) -> JsonValue:
        """What the user's words say that this value should be; None if they don't."""
        if "const" in rules:
            return None
        hints, kind = self._hints, _kind(rules)
        if isinstance(members := rules.get("enum"), list):
            said = [m for m in members if re.search(rf"\b{re.escape(str(m))}\b", hints.text, re.IGNORECASE)]
            return said[0] if said else None
        if kind in ("integer", "number"):
            number = hints.number(name)
            return None if number is None else _number(rules, number)
        if kind != "string":
            return None
        said = hints.assigned(name) or self._hinted_text(rules, name)
        return None if said is None else _string(rules, said)

    def _hinted_text(self, rules: JsonObject, name: str) -> str | None:
        hints, pattern, shape = self._hints, rules.get("pattern"), rules.get("format")
        if isinstance(pattern, str):
            return next((said for said in re.findall(r"[^\s\"']+", hints.text) if _matches(pattern, said)), None)
        if isinstance(shape, str):
            return hints.find(FORMATS[shape][0]) if shape in FORMATS else None
        if name in ("expression", "formula", "equation"):
            return hints.expression()
        return hints.quotation() or hints.name()

    def _object(self, rules: JsonObject, depth: int) -> JsonValue:
        properties = rules.get("properties")
        known = properties if isinstance(properties, dict) else {}
        listed = rules.get("required")
        required = [str(each) for each in listed] if isinstance(listed, list) else []
        made: JsonObject = {}
        for name, schema in known.items():
            if name in required:
                made[name] = self.make(schema, name, depth + 1)
            elif depth < _DEPTH:
                said = self._hinted(self._flat(schema, depth + 1), name)
                made |= {} if said is None else {name: said}
        extra = rules.get("additionalProperties")
        for name in required:
            if name not in made:
                made[name] = self.make(extra if isinstance(extra, dict) else True, name, depth + 1)
        return made

    def _array(self, rules: JsonObject, name: str, depth: int) -> JsonValue:
        first = rules.get("prefixItems")
        fixed = first if isinstance(first, list) else []
        least, most = _limit(rules, "minItems", 0), _limit(rules, "maxItems", math.inf)
        size = int(max(least, min(most, max(len(fixed), 1 if depth < _DEPTH else 0))))
        singular = name.removesuffix("s")
        made: list[JsonValue] = [self.make(schema, singular, depth + 1) for schema in fixed[:size]]
        items = self._flat(rules.get("items", True), depth + 1)
        members = items.get("enum")
        while len(made) < size:
            value = self.make(items, singular, depth + 1)
            if rules.get("uniqueItems") is True and value in made:
                value = next((m for m in members if m not in made), value) if isinstance(members, list) else value
                value = _another(value, len(made)) if value in made else value
            made.append(value)
        return made

    def _flat(self, schema: JsonValue, depth: int) -> JsonObject:
        """`schema` without references and combinators: one branch chosen, all the rest merged."""
        rules: JsonObject = dict(schema) if isinstance(schema, dict) else {}
        for _ in range(32):
            if isinstance(pointer := rules.pop("$ref", None), str):
                rules = _merged(self._resolve(pointer), rules)
            elif isinstance(parts := rules.pop("allOf", None), list):
                for part in parts:
                    rules = _merged(rules, part)
            elif isinstance(branches := rules.pop("anyOf", rules.pop("oneOf", None)), list) and branches:
                rules = _merged(rules, _branch(branches, depth))
            else:
                break
        return rules

    def _resolve(self, pointer: str) -> JsonValue:
        found: JsonValue = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step) if isinstance(found, dict) else None
        return found


def _branch(branches: list[JsonValue], depth: int) -> JsonValue:
    null: list[JsonValue] = [each for each in branches if isinstance(each, dict) and each.get("type") == "null"]
    simple: list[JsonValue] = [each for each in branches if isinstance(each, dict) and "$ref" not in each]
    if depth >= _DEPTH and (null or simple):
        return (null or simple)[0]
    return next((each for each in branches if each not in null), branches[0])


def _merged(a: JsonValue, b: JsonValue) -> JsonObject:
    base: JsonObject = dict(a) if isinstance(a, dict) else {}
    for key, value in (b if isinstance(b, dict) else {}).items():
        old = base.get(key)
        if key == "properties" and isinstance(old, dict) and isinstance(value, dict):
            base[key] = {**old, **value}
        elif key == "required" and isinstance(old, list) and isinstance(value, list):
            base[key] = [*old, *(each for each in value if each not in old)]
        else:
            base[key] = value
    return base


def _kind(rules: JsonObject) -> str:
    kind = rules.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    marks = {"properties": "object", "required": "object", "items": "array", "prefixItems": "array"}
    marks |= {"minimum": "number", "maximum": "number", "multipleOf": "number"}
    return next((kind for mark, kind in marks.items() if mark in rules), "string")


def _limit(rules: JsonObject, key: str, otherwise: float) -> float:
    value = rules.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _number(rules: JsonObject, wanted: float | None) -> JsonValue:
    """The number nearest to `wanted` that the rules accept; without one, the one nearest to 1."""
    low, high = _limit(rules, "minimum", -math.inf), _limit(rules, "maximum", math.inf)
    above, below = _limit(rules, "exclusiveMinimum", -math.inf), _limit(rules, "exclusiveMaximum", math.inf)
    step = _limit(rules, "multipleOf", 0) or (1 if rules.get("type") == "integer" else 0)
    gap = step or (min((below - above) / 2, 1) if math.isfinite(below - above) else 1)
    low = max(low, above + gap if above >= low else low)
    high = min(high, below - gap if below <= high else high)
    value = min(max(1 if wanted is None else wanted, low), high)
    if step:
        value = round(value / step) * step
        value += step if value < low else -step if value > high else 0
    return int(value) if value == int(value) else value


def _string(rules: JsonObject, words: str) -> str:
    pattern, shape = rules.get("pattern"), rules.get("format")
    if isinstance(pattern, str):
        return next((each for each in (words, *_PATTERNED) if _matches(pattern, each)), words)
    if isinstance(shape, str) and shape in FORMATS and not re.fullmatch(FORMATS[shape][0], words):
        return FORMATS[shape][1]
    text = words or "text"
    least, most = int(_limit(rules, "minLength", 0)), _limit(rules, "maxLength", 500)
    text = text if len(text) >= least else (text + " ") * (least // (len(text) + 1) + 1)
    return text[: max(least, int(most))]


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _another(value: JsonValue, n: int) -> JsonValue:
    """A value like `value`, but another one: for arrays of unique items."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + n
        case str():
            return f"{value} {n + 1}"
        case dict():
            changed = next((key for key, each in value.items() if isinstance(each, str | int | float)), None)
            return value if changed is None else {**value, changed: _another(value[changed], n)}
        case _:
            return value
