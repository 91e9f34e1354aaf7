"""The schema by which editors check `openresponses.toml` and tell what its fields mean.

`python -m openresponses_dev.manage.project.schema` writes it anew. It is of draft-07, which most validators know, and
has no `$ref`: Taplo, which Even Better TOML uses, ignores what is beside one
(https://taplo.tamasfe.dev/configuration/developing-schemas.html), and other language servers follow none.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from openresponses_dev.manage.project.document import Document

PATH = Path(__file__).with_name("openresponses.schema.json")
_DRAFT = "http://json-schema.org/draft-07/schema#"
_DEFINITIONS = "#/$defs/"


class _OfToml(GenerateJsonSchema):
    """TOML has no null: a field that is not said is not there."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def schema() -> dict[str, JsonValue]:
    generated: dict[str, JsonValue] = Document.model_json_schema(schema_generator=_OfToml)
    definitions = generated.pop("$defs")
    assert isinstance(definitions, dict)
    whole = _inlined(generated, definitions)
    assert isinstance(whole, dict)
    return {"$schema": _DRAFT, **whole}


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _inlined(value: JsonValue, definitions: dict[str, JsonValue]) -> JsonValue:
    """What a `$ref` is beside wins over what it refers to."""
    if isinstance(value, list):
        return [_inlined(each, definitions) for each in value]
    if not isinstance(value, dict):
        return value
    ref = value.get("$ref")
    if isinstance(ref, str) and ref.startswith(_DEFINITIONS):
        found = definitions[ref.removeprefix(_DEFINITIONS)]
        assert isinstance(found, dict)
        rest = {name: each for name, each in value.items() if name != "$ref"}
        titled = {name: each for name, each in found.items() if name != "title"}  # the name of a class
        return _inlined({**titled, **rest}, definitions)
    return {name: _inlined(each, definitions) for name, each in value.items()}


if __name__ == "__main__":
    PATH.write_text(text())
