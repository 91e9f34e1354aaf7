"""The OpenAPI document and its page, made when they are asked for, so that no other request pays for them."""

import re
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse, JSONResponse, Response

from ..schema.request import CreateResponse
from .body import ListQuery, RetrieveQuery, parameters

CREATE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CreateResponse"}}},
    },
    "responses": {
        "200": {
            "description": "The response, or with `stream` its events",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Response"}},
                "text/event-stream": {"schema": {"$ref": "#/components/schemas/Event"}},
            },
        }
    },
}


def install(app: FastAPI) -> None:
    async def document() -> Response:
        return JSONResponse(openapi(app))

    async def page() -> Response:
        from fastapi.openapi.docs import get_swagger_ui_html

        # A relative address: behind API Gateway every path has the stage in front.
        html = get_swagger_ui_html(openapi_url="openapi.json", title=app.title)
        return HTMLResponse(bytes(html.body))

    app.add_api_route("/openapi.json", document, methods=["GET"], include_in_schema=False)
    app.add_api_route("/docs", page, methods=["GET"], include_in_schema=False)


def openapi(app: FastAPI) -> dict[str, Any]:
    from fastapi.openapi.utils import get_openapi
    from pydantic import TypeAdapter
    from pydantic.json_schema import models_json_schema

    from ..schema.events import Event
    from ..schema.response import Response as ResponseResource

    template = "#/components/schemas/{model}"
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    _, requests = models_json_schema([(CreateResponse, "validation")], ref_template=template)
    _, answers = models_json_schema([(ResponseResource, "serialization")], ref_template=template)
    event = TypeAdapter[Any](Event).json_schema(ref_template=template, mode="serialization")
    schemas = {**answers["$defs"], **event.pop("$defs"), **requests["$defs"], "Event": event}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["parameters"] = _in_path(path)
    for path, query in (("", RetrieveQuery), ("/input_items", ListQuery)):
        operation = document["paths"][f"/v1/responses/{{response_id}}{path}"]["get"]
        operation["parameters"] += parameters(query)
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"bearer": []}]
    return document


def _in_path(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
