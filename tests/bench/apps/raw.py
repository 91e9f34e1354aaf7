"""The least that streams: a plain ASGI callable that sends one event."""

from typing import Any

FRAME = b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'


async def app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]},
    )
    await send({"type": "http.response.body", "body": FRAME, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
