"""FastAPI's application of the table of routes: it writes the OpenAPI document, and serves it and its page.

Imported when somebody asks for these, so that no other request pays for FastAPI.
"""

import re
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema
from starlette.responses import FileResponse, Response

from ..schema.compact import CompactedResponse
from ..schema.events import Event
from ..schema.response import Response as ResponseResource
from ..schema.timed_response import TimedResponse
from ..schema.timeline import TIMELINE
from .body import Query
from .headers import SPEC_VERSION
from .routes import OPERATIONS, Open, Operation

_SCHEMAS = "#/components/schemas/{model}"
_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page loads nothing from elsewhere, and tells nobody else what is typed into it."""


class Documentation(FastAPI):
    def __init__(self) -> None:
        super().__init__(title="openresponses", version=SPEC_VERSION, docs_url=None, redoc_url=None)
        for each in OPERATIONS:
            self.add_api_route(
                each.path,
                _served_by_starlette,
                methods=[each.method],
                name=each.endpoint.answer.__name__,
                summary=each.summary,
                openapi_extra=_details(each),
            )
        self.add_api_route("/docs", self.page, methods=["GET"], include_in_schema=False)
        self.add_api_route("/docs/{file}", self.file, methods=["GET"], include_in_schema=False)

    def openapi(self) -> dict[str, Any]:
        document = get_openapi(title=self.title, version=self.version, routes=self.routes)
        schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
        document["components"] = {"schemas": _schemas(), "securitySchemes": schemes}
        document["security"] = [{"bearer": []}]
        document["servers"] = [{"url": "."}]  # below the document's own address, whatever stands before the path
        return document

    async def page(self) -> Response:
        # Relative addresses: behind API Gateway every path has the stage in front.
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=self.title,
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="data:,",
        )
        page.headers["content-security-policy"] = _POLICY
        return page

    async def file(self, file: str) -> Response:
        """What the page consists of: one of `_FILES`, since there are routes to these alone."""
        path = str(files("fastapi_offline") / "static" / file)
        return FileResponse(path, media_type=_FILES[file], headers={"cache-control": "max-age=86400"})


async def _served_by_starlette() -> Response:
    raise NotImplementedError


def _details(operation: Operation) -> dict[str, Any]:
    """What FastAPI can't read off an endpoint, since these are not its own."""
    details: dict[str, Any] = {"parameters": _in_path(operation.path)}
    if operation.query is not None:
        details["parameters"] += _in_query(operation.query)
    if operation.body is not None:
        details["requestBody"] = {
            "required": True,
            "content": {"application/json": _reference(operation.body.__name__)},
        }
    match operation.shows:
        case "a response":
            details["responses"] = _answers("The response", {"application/json": "Response"})
        case "a response or its events":
            kinds = {"application/json": "Response", "text/event-stream": "Event"}
            details["responses"] = _answers("The response, or with `stream` its events", kinds)
        case "a stored response or its events":
            kinds = {"application/json": "TimedResponse", "text/event-stream": "Event"}
            told = f"The response, with `include[]={TIMELINE}` and its timeline, or with `stream` its events"
            details["responses"] = _answers(told, kinds)
        case "a compaction":
            details["responses"] = _answers("The compacted window", {"application/json": "CompactedResponse"})
        case "other JSON":
            pass
    if isinstance(operation.endpoint, Open):
        details["security"] = []
    return details


def _in_path(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(kind: type[Query]) -> list[dict[str, Any]]:
    schemas = kind.model_json_schema(by_alias=False)["properties"]
    return [
        {"name": name.rstrip("_"), "in": "query", "required": False, "schema": schema, **_style(schema)}
        for name, schema in schemas.items()
    ]


def _style(schema: dict[str, Any]) -> dict[str, Any]:
    return {"style": "deepObject", "explode": True} if schema.get("type") == "object" else {}


def _answers(description: str, kinds: dict[str, str]) -> dict[str, Any]:
    return {
        "200": {"description": description, "content": {media: _reference(model) for media, model in kinds.items()}}
    }


def _reference(model: str) -> dict[str, Any]:
    return {"schema": {"$ref": _SCHEMAS.format(model=model)}}


def _schemas() -> dict[str, Any]:
    bodies = [each.body for each in OPERATIONS if each.body]
    _, requests = models_json_schema([(body, "validation") for body in bodies], ref_template=_SCHEMAS)
    _, answers = models_json_schema(
        [(each, "serialization") for each in (ResponseResource, TimedResponse, CompactedResponse)],
        ref_template=_SCHEMAS,
    )
    event = TypeAdapter[Any](Event).json_schema(ref_template=_SCHEMAS, mode="serialization")
    return {**answers["$defs"], **event.pop("$defs"), **requests["$defs"], "Event": event}


app = Documentation()
