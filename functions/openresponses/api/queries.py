"""The queries of the routes that have one, parsed as bodies are: by us, when a request comes.

Parameters that FastAPI declares would be analysed as the sandbox starts, and need pydantic's old version for that:
together some 20 ms of every cold start.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from ..core.errors import RequestError

_LISTS = ("include", "include[]")
"""The OpenAI SDKs write a list in a query as `include[]=...`."""


class _Query(BaseModel):
    model_config = ConfigDict(defer_build=True)


class RetrieveQuery(_Query):
    stream: bool = False
    starting_after: Annotated[int | None, Field(ge=0)] = None
    include: Annotated[list[str], Field(validation_alias=AliasChoices(*_LISTS))] = []
    include_obfuscation: bool = True


class ListQuery(_Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None


Q = TypeVar("Q", bound=_Query)


def parse_query(kind: type[Q], request: Request) -> Q:
    """Raises RequestError, which names the parameter."""
    given = request.query_params
    values = {name: given.getlist(name) if name in _LISTS else given[name] for name in given}
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(first["loc"][0])
        raise RequestError(f"{name}: {first['msg']}", param=name) from None


def parameters(kind: type[_Query]) -> list[dict[str, Any]]:
    """As an OpenAPI document has them."""
    schemas = kind.model_json_schema(by_alias=False)["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in schemas.items()]
