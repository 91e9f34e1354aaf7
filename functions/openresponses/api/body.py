"""A request body: read within its limits, parsed, and refused with the name of the field that is wrong."""

from typing import cast

from pydantic import JsonValue, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from ..core.errors import BodyTooLarge, RequestError, UnsupportedMediaType
from ..schema.request import CreateResponse

UNKNOWN = ("unknown_item_type", "unknown_tool_type")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises UnsupportedMediaType, or BodyTooLarge at more than `limit` bytes."""
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media != "application/json":
        raise UnsupportedMediaType(f"The body must be application/json, not {media!r}", param="content-type")
    if int(request.headers.get("content-length") or 0) > limit:
        raise BodyTooLarge(f"The body is larger than {limit} bytes")
    body = await request.body()
    if len(body) > limit:
        raise BodyTooLarge(f"The body is larger than {limit} bytes")
    return body


def parse_create(body: bytes) -> CreateResponse:
    """Raises RequestError; its `param` is the path of the first wrong field, such as `input[0].content`."""
    try:
        return CreateResponse.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error, body) from None


def _refusal(error: ValidationError, body: bytes) -> RequestError:
    try:
        data = cast("JsonValue", from_json(body))
    except ValueError as why:
        return RequestError(f"The body is not JSON: {why}", code="invalid_json")
    if not isinstance(data, dict):
        return RequestError("The body must be a JSON object", code="invalid_json")
    # A union reports each member that didn't fit; the one that got furthest says what is wrong.
    details = error.errors(include_url=False, include_input=False, include_context=False)
    paths = [
        (field_path(each["loc"], data) + (".type" if each["type"] in UNKNOWN else ""), each["msg"], each["type"])
        for each in details
    ]
    path, message, kind = max(paths, key=lambda found: found[0].count(".") + found[0].count("["))
    code = "missing_required_parameter" if kind == "missing" else "invalid_value"
    return RequestError(f"{path}: {message}" if path else message, param=path or None, code=code)


def field_path(loc: tuple[int | str, ...], data: JsonValue) -> str:
    """pydantic's location as a path in the body: the names of union members are left out."""
    path, here = "", data
    for position, step in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(here, list) and isinstance(step, int) and step < len(here):
            path, here = f"{path}[{step}]", here[step]
        elif isinstance(here, dict) and isinstance(step, str) and (step in here or (last and not _is_member(step))):
            path, here = f"{path}.{step}" if path else step, here.get(step)
    return path


def _is_member(step: str) -> bool:
    return "[" in step or step in ("str", "mode", "named", "allowed_tools", "hosted", "function")
