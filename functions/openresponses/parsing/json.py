"""JSON, read within its budget, and as what it should be."""

from typing import TypeVar, cast

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import from_json

from ..core.errors import RequestError
from .budget import refuse_costly, refuse_unspeakable
from .problems import problem

M = TypeVar("M", bound=BaseModel)


def read_object(body: bytes) -> dict[str, JsonValue]:
    """Raises RequestError for what is no object of JSON, and BodyTooLarge for one that would take too much memory."""
    refuse_costly(body)
    try:
        data = cast("JsonValue", from_json(body))
    except ValueError as why:
        raise RequestError(f"The body is not JSON: {why}", code="invalid_json") from None
    if not isinstance(data, dict):
        raise RequestError("The body must be a JSON object", code="invalid_json")
    refuse_unspeakable(data)
    return data


def read_as(kind: type[M], data: dict[str, JsonValue]) -> M:
    """Raises RequestError; its `param` is the path of the first wrong field, such as `input[0].content`."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise problem(error, kind) from None
