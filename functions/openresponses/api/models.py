"""The routes of models: those that the caller's key may use."""

from starlette.responses import JSONResponse, Response

from .call import Call


async def models(call: Call) -> Response:
    return JSONResponse({"object": "list", "data": [_model(name) for name in await call.new.models()]})


async def model(call: Call) -> Response:
    name = call.request.path_params["model"]
    await call.new.check_model(name)
    return JSONResponse(_model(name))


def _model(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": 0, "owned_by": name.partition("/")[0]}
