"""The least that FastAPI can be: one route with one model, which streams one event."""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from tests.bench.apps.raw import FRAME

app = FastAPI()


class Create(BaseModel):
    model: str
    input: str


@app.post("/v1/responses")
async def create(body: Create) -> StreamingResponse:
    return StreamingResponse(_events(), media_type="text/event-stream")


async def _events() -> AsyncIterator[bytes]:
    yield FRAME
