"""What every wire model shares. Shapes follow the Open Responses OpenAPI document of 2026-04-24."""

import os
from typing import Annotated, Any, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetPydanticSchema, JsonValue
from pydantic_core import PydanticKnownError, PydanticUseDefault
from pydantic_core.core_schema import any_schema

from .limits import MAX_ID, MAX_NAME

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
"""Else pydantic looks for plugins in the metadata of every installed package, before it makes its first model."""
SLUG = "serverless"
"""Our implementor slug: it prefixes every tool and item type that the specification doesn't define."""
HOSTED_TYPE = rf"^{SLUG}:[a-zA-Z0-9_-]+$"

Json: TypeAlias = Annotated[JsonValue, GetPydanticSchema(lambda _source, _handler: any_schema())]
"""Kept as it came, since a parser made it. pydantic would build a schema of JSON anew for each model that has some."""
JsonObject: TypeAlias = dict[str, Json]


class Wire(BaseModel):
    """A wire value. Unknown fields are dropped: real clients send fields of other vendors' dialects.

    Built at once, since a deferred model is generated anew inside of each model that contains it.
    """

    model_config = ConfigDict(extra="ignore", serialize_by_alias=True, validate_by_name=True)


def _is_none(value: object) -> bool:
    return value is None


def absent(alias: str | None = None) -> Any:
    """Default of an optional field that the specification allows to be absent, but not to be null."""
    return Field(default=None, alias=alias, exclude_if=_is_none)


def fields_of(value: object) -> dict[str, object]:
    """What a union's discriminator looks at: a mapping's or a model's fields, nothing for anything else."""
    if isinstance(value, BaseModel):
        return {**value.__dict__, **(value.__pydantic_extra__ or {})}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _absent_if_null(value: object) -> object:
    if value is None:
        raise PydanticUseDefault
    return value


ABSENT_IF_NULL = BeforeValidator(_absent_if_null)
"""For a field with a default: many clients write null for what they don't say."""


def _empty_if_null(value: object) -> object:
    return "" if value is None else value


FAST = Field(fail_fast=True)
"""For a list. It is read up to its first fault: pydantic would make an error of every wrong element."""


def entries(most: int) -> BeforeValidator:
    """For a dict. It is counted first: pydantic would make an error of every wrong value before it counts them."""

    def counted(value: object) -> object:
        actual = len(cast("dict[str, object]", value)) if isinstance(value, dict) else 0
        if actual > most:
            told = {"field_type": "Dictionary", "max_length": most, "actual_length": actual}
            raise PydanticKnownError("too_long", told)
        return cast("object", value)

    return BeforeValidator(counted)


Name: TypeAlias = Annotated[str, Field(max_length=MAX_NAME)]
GivenId: TypeAlias = Annotated[str, Field(max_length=MAX_ID)]
"""The id of something else, which names it."""
Id: TypeAlias = Annotated[GivenId, BeforeValidator(_empty_if_null)]
"""An item's id. Input items may come without one (or with null): the server then assigns it."""

TOOL_NAME = r"^[a-zA-Z0-9_.-]+$"
ToolName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128, pattern=TOOL_NAME)]
