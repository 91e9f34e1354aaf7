"""Bodies that cost more than they look like, at every place of a request. The schema itself tells the places."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from openresponses.schema.base import HOSTED_TYPE, TOOL_NAME
from openresponses.schema.compact import CompactRequest
from openresponses.schema.conversation import ConversationChange, NewConversation, NewItems
from openresponses.schema.request import CreateResponse
from openresponses.schema.tools import UpstreamTool
from openresponses.schema.webhooks import EndpointChange, EndpointTrial, NewEndpoint, SecretRotation

Schema: TypeAlias = Any
Wrap: TypeAlias = Callable[[str], str]
"""The text of a whole body with this text at a place of it."""
_UPSTREAM = UpstreamTool.model_fields["type"].metadata[0].pattern
WORDS = {TOOL_NAME: "f", HOSTED_TYPE: "serverless:clock", _UPSTREAM: "web_search"}
TAGS = {"extension": "acme:note", "hosted": "serverless:clock", "upstream": "web_search", "named": "function"}


OTHERS: dict[str, tuple[Any, dict[str, str]]] = {
    "/v1/responses/input_tokens": (CreateResponse, {"model": '"offline/demo"', "input": '"hi"'}),
    "/v1/responses/compact": (CompactRequest, {"model": '"offline/demo"', "input": '"hi"'}),
    "/v1/conversations": (NewConversation, {}),
    "/v1/conversations/conv_1": (ConversationChange, {}),
    "/v1/conversations/conv_1/items": (NewItems, {}),
    "/v1/webhook_endpoints": (NewEndpoint, {"name": '"a"', "event_types": '["response.failed"]'}),
    "/v1/webhook_endpoints/we_1": (EndpointChange, {}),
    "/v1/webhook_endpoints/we_1/test": (EndpointTrial, {}),
    "/v1/webhook_endpoints/we_1/rotate_secret": (SecretRotation, {}),
}
"""The bodies of other routes: their fields hold what a create holds."""


@dataclass(frozen=True)
class Place:
    path: str
    wrap: Wrap
    schema: Schema
    url: str = "/v1/responses"


class Places:
    """Every place where a client can write a value, after its path. A model that several others hold is tried once."""

    def __init__(self) -> None:
        self._known: dict[str, Schema] = {}
        self._seen = set[int]()

    def all(self) -> Iterator[Place]:
        schema = self._inner(CreateResponse.__pydantic_core_schema__)
        yield from self._within(Place("", lambda text: text, schema), base={"model": '"offline/demo"', "input": '"hi"'})

    def others(self) -> Iterator[Place]:
        """The whole body of each other route, and each field of it."""
        for url, (kind, base) in OTHERS.items():
            schema = self._inner(kind.__pydantic_core_schema__)
            for place in self._within(Place("", lambda text: text, schema), base=base):
                if re.fullmatch(r"(\.\w+)?", place.path):
                    yield Place(place.path, place.wrap, place.schema, url)

    def right(self, schema: Schema) -> str:
        """The text of a small value that fits."""
        schema = self._inner(schema)
        match schema["type"]:
            case "str":
                return json.dumps(WORDS.get(schema.get("pattern", ""), "a"))
            case "int" | "float":
                return str(max(schema.get("ge", 1), 1))
            case "literal":
                return json.dumps(schema["expected"][0])
            case "list":
                return "[" + self.right(schema["items_schema"]) * schema.get("min_length", 0) + "]"
            case "dict":
                return "{}"
            case "model-fields":
                return _object({n: self.right(f["schema"]) for n, f in self._fields(schema) if _is_required(f)})
            case "tagged-union":
                tag, choice = next(iter(schema["choices"].items()))
                return self._tagged(tag, choice)
            case "union":
                return self.right(_choice(schema["choices"][0]))
            case _:
                return "1"

    def elements(self, schema: Schema) -> list[str]:
        """Of a list: a right element, of each kind that it may have. None for anything else."""
        schema = self._inner(schema)
        if schema["type"] == "union":
            return [each for choice in schema["choices"] for each in self.elements(_choice(choice))]
        if schema["type"] != "list":
            return []
        inner = self._inner(schema["items_schema"])
        if inner["type"] == "tagged-union":
            return [self._tagged(tag, choice) for tag, choice in inner["choices"].items()]
        return [self.right(inner)]

    def _within(self, place: Place, base: dict[str, str] | None = None) -> Iterator[Place]:
        yield place
        schema, wrap = self._inner(place.schema), place.wrap
        match schema["type"]:
            case "model-fields":
                given = base or {n: self.right(f["schema"]) for n, f in self._fields(schema) if _is_required(f)}
                yield from self._of_model(place, schema, given)
            case "tagged-union":
                for tag, choice in schema["choices"].items():
                    inner = self._inner(choice)
                    if inner["type"] == "model-fields" and id(inner) not in self._seen:
                        self._seen.add(id(inner))
                        given: dict[str, str] = _texts(self._tagged(tag, choice))
                        yield from self._of_model(Place(f"{place.path}<{tag}>", wrap, inner), inner, given)
            case "union":
                for choice in schema["choices"]:
                    inner = self._within(Place(place.path, wrap, _choice(choice)))
                    next(inner)
                    yield from inner
            case "list":
                yield from self._within(Place(f"{place.path}[]", lambda t: wrap(f"[{t}]"), schema["items_schema"]))
            case "dict":
                inner = schema.get("values_schema", {"type": "any"})
                yield from self._within(Place(f"{place.path}.*", lambda t: wrap(f'{{"offline":{t}}}'), inner))
            case _:
                pass

    def _of_model(self, place: Place, schema: Schema, given: dict[str, str]) -> Iterator[Place]:
        for name, field in self._fields(schema):

            def wrap(text: str, name: str = name) -> str:
                return place.wrap(_object({**given, name: text}))

            yield from self._within(Place(f"{place.path}.{name}", wrap, field["schema"]))
        yield Place(f"{place.path}.(unknown)", lambda text: place.wrap(_object({**given, "x": text})), {"type": "any"})

    def _tagged(self, tag: str, choice: Schema) -> str:
        inner = self._inner(choice)
        if inner["type"] != "model-fields":
            return self.right(inner)
        fields = dict(self._fields(inner))
        given = {name: self.right(field["schema"]) for name, field in fields.items() if _is_required(field)}
        if "type" in fields:
            kind = self._inner(fields["type"]["schema"])
            given["type"] = json.dumps(TAGS[tag]) if tag in TAGS else self.right(kind)
        return _object(given)

    def _fields(self, schema: Schema) -> Iterator[tuple[str, Schema]]:
        for name, field in schema["fields"].items():
            yield field.get("validation_alias", name), field

    def _inner(self, schema: Schema) -> Schema:
        while True:
            match schema["type"]:
                case "definitions":
                    self._known |= {each["ref"]: each for each in schema["definitions"]}
                    schema = schema["schema"]
                case "definition-ref":
                    schema = self._known[schema["schema_ref"]]
                case "nullable" | "default" | "model" | "model-field" | "function-before" | "function-wrap":
                    schema = schema["schema"]
                case _:
                    return schema


def _is_required(field: Schema) -> bool:
    return field["schema"]["type"] != "default"


def _choice(choice: Schema) -> Schema:
    return choice[0] if isinstance(choice, tuple) else choice


def _object(fields: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items()) + "}"


def _texts(text: str) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in json.loads(text).items()}


def _many(text: str, size: int) -> str:
    return ",".join([text] * (size // (len(text) + 1)))


def _names(size: int, value: str) -> str:
    count = size // (len(value) + 10)
    return "{" + ",".join(f'"{n:06x}":{value}' for n in range(count)) + "}"


def _chain(size: int) -> str:
    """A schema whose references lead from one to the next, and in two ways each."""
    count = size // 90
    two = ",".join(
        f'"{n}":{{"anyOf":[{{"$ref":"#/$defs/{n + 1}"}},{{"$ref":"#/$defs/{n + 1}"}}]}}' for n in range(count)
    )
    return f'{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/0"}}}},"$defs":{{{two}}}}}'


BOMBS: dict[str, Callable[[int], str]] = {
    "ones": lambda size: f"[{_many('1', size)}]",
    "nulls": lambda size: f"[{_many('null', size)}]",
    "floats": lambda size: f"[{_many('1.5', size)}]",
    "empty lists": lambda size: f"[{_many('[]', size)}]",
    "empty objects": lambda size: f"[{_many('{}', size)}]",
    "empty strings": lambda size: "[" + _many('""', size) + "]",
    "short strings": lambda size: "[" + ",".join(f'"{n:x}"' for n in range(size // 8)) + "]",
    "wide strings": lambda size: "[" + ",".join(f'"\u00e9{n:x}"' for n in range(size // 10)) + "]",
    "objects": lambda size: "[" + _many('{"a":{"b":1}}', size) + "]",
    "messages": lambda size: "[" + _many('{"role":"user","content":"a"}', size) + "]",
    "deep lists": lambda size: "[" * size,
    "closed deep lists": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "deep objects": lambda size: '{"a":' * (size // 5),
    "deep enough": lambda size: "[" + _many("[" * 90 + "]" * 90, size) + "]",
    "long string": lambda size: '"' + "a" * size + '"',
    "wide string": lambda size: '"' + "\u00e9" * (size // 2) + '"',
    "astral string": lambda size: '"a' + "\\ud83d\\ude00" * (size // 12) + '"',
    "escapes": lambda size: '"' + "\\n" * (size // 2) + '"',
    "quotes": lambda size: '"' + '\\"' * (size // 2) + '"',
    "brackets": lambda size: '"' + "[" * size + '"',
    "braces": lambda size: '"' + '{\\"a\\":' * (size // 7) + '"',
    "digits": lambda size: '"' + "9" * size + '"',
    "a long number": lambda size: "9" * size,
    "long numbers": lambda size: f"[{_many('9' * 4000, size)}]",
    "base64": lambda size: '"data:image/png;base64,' + "QUJD" * (size // 4) + '"',
    "percents": lambda size: '"data:text/plain,' + "%41" * (size // 3) + '"',
    "names": lambda size: _names(size, "1"),
    "names of objects": lambda size: _names(size, "{}"),
    "long names": lambda size: "{" + ",".join(f'"{n}{"k" * 1000}":1' for n in range(size // 1010)) + "}",
    "one long name": lambda size: '{"' + "k" * size + '":1}',
    "one name": lambda size: "{" + _many('"a":1', size) + "}",
    "references": _chain,
    "all of": lambda size: '{"allOf":[' + _many('{"required":["a"],"properties":{"a":{}}}', size) + "]}",
    "wrong of each": lambda size: "[" + _many('{"type":[],"id":[],"role":[],"content":[],"name":[]}', size) + "]",
}
"""By name, the text of a value of about so many bytes."""


def names(places: Places, place: Place) -> list[str]:
    """Of the bombs for a place."""
    kinds = range(len(places.elements(place.schema)))
    return [*BOMBS, *(f"{how} {kind}" for kind in kinds for how in ("elements", "elements and a wrong one"))]


def bomb(places: Places, place: Place, name: str, size: int) -> bytes:
    """The whole body, in which the bomb has about so many bytes."""
    if name in BOMBS:
        return place.wrap(_text(name, size)).encode()
    how, _, kind = name.rpartition(" ")
    element = places.elements(place.schema)[int(kind)]
    if how == "elements":
        return place.wrap(f"[{_many(element, size)}]").encode()
    padded = element.replace('"a"', '"' + "a" * 100 + '"')
    return place.wrap(f"[{_many(padded, size)},1]").encode()


@lru_cache(64)
def _text(name: str, size: int) -> str:
    return BOMBS[name](size)
