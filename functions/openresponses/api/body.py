"""Reading what a request says in its body and its query. An error names the wrong field."""

from codecs import BOM_UTF8
from typing import Annotated, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from ..core.errors import BodyTooLarge, RequestError, UnsupportedMediaType
from ..parsing.habits import refuse_habits
from ..parsing.json import read_as, read_object
from ..parsing.problems import problem
from ..schema.base import GivenId
from ..schema.limits import MAX_COUNT, MAX_INCLUDED, MAX_MODEL
from ..schema.request import CreateResponse, Metadata, Word
from ..schema.response import ResponseStatus

_LISTS = ("include", "include[]")
"""The OpenAI SDKs write a list in a query as `include[]=...`."""
_MAPS = ("metadata",)
"""They write a map as `metadata[key]=value`, for each of its keys."""


class Query(BaseModel):
    """Built when the first such request comes."""

    model_config = ConfigDict(defer_build=True)


class IncludeQuery(Query):
    include: Annotated[
        list[Word], Field(max_length=MAX_INCLUDED, fail_fast=True, validation_alias=AliasChoices(*_LISTS))
    ] = []


class RetrieveQuery(IncludeQuery):
    stream: bool = False
    starting_after: Annotated[int | None, Field(ge=0, le=MAX_COUNT)] = None
    include_obfuscation: bool = True


class ListQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: GivenId | None = None
    before: GivenId | None = None


class ItemsQuery(IncludeQuery):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: GivenId | None = None


class EndpointsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    after: GivenId | None = None


class ResponsesQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: GivenId | None = None
    status: ResponseStatus | None = None
    model: Annotated[str | None, Field(max_length=MAX_MODEL)] = None
    metadata: Metadata = {}


Day = Annotated[str, Field(max_length=10)]


class UsageQuery(Query):
    """The days `from` and `to` are UTC's, as 2026-11-27."""

    from_: Annotated[Day | None, Field(validation_alias="from")] = None
    to: Day | None = None
    by: Literal["model", "day"] = "model"


Q = TypeVar("Q", bound=Query)


def parse_query(kind: type[Q], request: Request) -> Q:
    """Raises RequestError, which names the parameter."""
    given, values = request.query_params, dict[str, object]()
    maps: dict[str, dict[str, str]] = {}
    for name in given:
        field, _, key = name.partition("[")
        if field in _MAPS and key.endswith("]"):
            maps.setdefault(field, {})[key[:-1]] = given[name]
        else:
            values[name] = given.getlist(name) if name in _LISTS else given[name]
    try:
        return kind.model_validate(values | maps)
    except ValidationError as error:
        raise problem(error, kind) from None


_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, without a byte order mark.

    Raises UnsupportedMediaType, RequestError for another encoding than UTF-8, or BodyTooLarge at more than `limit`
    bytes.
    """
    _check_media(request.headers.get("content-type", "application/json"))
    # API Gateway hands a body on as text: a compressed one arrives as rubble.
    coding = request.headers.get("content-encoding", "identity").strip()
    if coding.lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"The body must come as it is, not with the content encoding {coding!r}", param="content-encoding"
        )
    body = await request.body()
    if len(body) > limit:
        raise BodyTooLarge(f"The body is larger than {limit} bytes")
    start = body[:16]
    if b"\0" in start:  # no JSON has one; in these encodings every ASCII character does
        encoding = "UTF-32" if b"\0\0" in start else "UTF-16"
        raise RequestError(f"The body must be UTF-8, not {encoding}", code="invalid_json")
    return body.removeprefix(BOM_UTF8)


def _check_media(content_type: str) -> None:
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((part[8:].strip('"') for part in parameters if part.startswith("charset=")), "utf-8")
    if media != "application/json":
        raise UnsupportedMediaType(f"The body must be application/json, not {media!r}", param="content-type")
    if charset not in _CHARSETS:
        raise UnsupportedMediaType(f"The body must be UTF-8, not {charset!r}", param="content-type")


B = TypeVar("B", bound=BaseModel)


def parse_create(body: bytes) -> CreateResponse:
    return parse_body(CreateResponse, body)


def parse_body(kind: type[B], body: bytes) -> B:
    """Raises RequestError; its `param` is the path of the first wrong field, such as `input[0].content`."""
    data = read_object(body)
    refuse_habits(data)
    return read_as(kind, data)
