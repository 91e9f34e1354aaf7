"""An ASGI app that does what the request tells it, step by step; without steps it echoes what it was given."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

VERSION = 1
print("loading", VERSION)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    body = (await receive()).get("body", b"")
    steps = json.loads(body).get("steps", []) if body.startswith(b"{") else []
    if not steps:
        answer = {"event": scope["aws.event"], "env": dict(os.environ), "pid": os.getpid(), "version": VERSION}
        steps = [{"start": {}}, {"send": json.dumps(answer)}]
    for step in steps:
        ((action, value),) = step.items()
        await perform(action, value, send)
    await send({"type": "http.response.body", "body": b""})


async def perform(action, value, send):
    match action:
        case "start":
            headers = [(name.encode(), text.encode()) for name, text in value.get("headers", [])]
            await send({"type": "http.response.start", "status": value.get("status", 200), "headers": headers})
        case "send":
            await send({"type": "http.response.body", "body": value.encode(), "more_body": True})
        case "touch":
            Path(value).touch()
        case "await":
            while not Path(value).exists():
                await asyncio.sleep(0.005)
        case "block":
            time.sleep(value)
        case "print":
            print(value)
        case "raise":
            raise RuntimeError(value)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(value)
        case _:
            sys.exit(f"what is {action}?")
