"""The applications that the runtime tests serve: bare ASGI, so that a child process starts fast."""

import asyncio
import contextvars
import json
import os
import sys
from pathlib import Path

SEEN = contextvars.ContextVar("SEEN", default="nothing")
OK = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


def part(body: bytes, more: bool = True) -> dict:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def app(scope, receive, send):
    """Dispatches on the path; supports lifespan."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    body = (await receive())["body"]
    await ROUTES[scope["path"]](scope, receive, send, json.loads(body) if body.startswith(b"{") else body)


async def lifespan(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    scope["state"]["started"] = 1
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    print("shut down", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


async def count(scope, receive, send, body):
    await send(OK)
    for i in range(body["n"]):
        await send(part(b"data: %d\n\n" % i))
    await send(part(b"data: [DONE]\n\n", more=False))


async def lockstep(scope, receive, send, body):
    """The next part is sent only once the test has seen the one before."""
    await send(OK)
    for i in range(3):
        await send(part(b"%d" % i))
        while not Path(body["dir"], str(i)).exists():
            await asyncio.sleep(0.005)
    await send(part(b"", more=False))


async def work_on(scope, receive, send, body):
    """Goes on after its last byte, until the test lets it end."""
    await send(OK)
    await send(part(b"all", more=False))
    while not Path(body["file"]).exists():
        await asyncio.sleep(0.005)


async def hang(scope, receive, send, body):
    """Never answers."""
    await asyncio.Event().wait()


async def show(scope, receive, send, body):
    context = scope["aws.context"]
    shown = {k: scope[k] for k in ("method", "path", "root_path", "scheme", "client", "server", "asgi", "state")}
    shown["query"] = scope["query_string"].decode()
    shown["headers"] = [[k.decode(), v.decode()] for k, v in scope["headers"]]
    shown["body"] = body.decode("latin-1") if isinstance(body, bytes) else body
    shown["event"] = scope["aws.event"]
    shown["context"] = {
        "id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "in_time": 0 < context.get_remaining_time_in_millis() <= 60_000,
        "deadline_ms": context.deadline_ms,
    }
    shown["trace"] = os.environ["_X_AMZN_TRACE_ID"]
    shown["path0"] = sys.path[0]
    await whole(send, json.dumps(shown).encode())


async def remember(scope, receive, send, body):
    """What another invocation left behind in a context variable or in the state."""
    before = [SEEN.get(), scope["state"].get("seen", "nothing")]
    SEEN.set("something")
    scope["state"]["seen"] = "something"
    await whole(send, json.dumps(before).encode())


async def headers(scope, receive, send, body):
    names = [
        (b"Content-Type", b"text/plain"),
        (b"Content-Length", b"2"),
        (b"Connection", b"close"),
        (b"Set-Cookie", b"a=1; Expires=Thu, 01 Jan 2032 00:00:00 GMT"),
        (b"set-cookie", b"b=2"),
        (b"Link", b"<a>"),
        (b"link", b"<b>"),
    ]
    await send({"type": "http.response.start", "status": 201, "headers": names})
    await send(part(b"ok", more=False))


async def many_headers(scope, receive, send, body):
    headers = [(b"x-%d" % i, b"y" * 1000) for i in range(17)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send(part(b"ok", more=False))


async def fail(scope, receive, send, body):
    """Raises after `after` messages: 0 is before the start."""
    if body["after"]:
        await send(OK)
    for i in range(1, body["after"]):
        await send(part(b"%d" % i))
    if body["how"] == "exit":
        sys.exit("the app exits")
    if body["how"] == "cancel":
        raise asyncio.CancelledError("nobody asked")
    if body["how"] == "silent":
        return
    raise ValueError("upstream died")


async def fail_after_the_end(scope, receive, send, body):
    await send(OK)
    await send(part(b"whole", more=False))
    raise ValueError("a background task died")


async def disorder(scope, receive, send, body):
    await send(part(b"a body before its start"))


async def stall(scope, receive, send, body):
    await send(OK)
    await send(part(b"first"))
    await asyncio.sleep(600)


async def tidy(scope, receive, send, body):
    """An app that uses its last moments to end the stream in order."""
    await send(OK)
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        await send(part(b"response.failed", more=False))


async def listen(scope, receive, send, body):
    """A second receive must block until the response is complete, and then tell of a disconnect."""
    waiting = asyncio.create_task(receive())
    await asyncio.sleep(0.02)
    blocked = not waiting.done()
    await whole(send, b"blocked" if blocked else b"did not block")
    print((await waiting)["type"], flush=True)


async def flood(scope, receive, send, body):
    await send(OK)
    while True:
        await send(part(b"x" * 1024))
        await asyncio.sleep(0.001)


async def whole(send, body: bytes):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send(part(body, more=False))


ROUTES = {
    f"/{f.__name__}": f
    for f in (
        *(count, lockstep, work_on, hang, show, remember, headers, many_headers, fail, fail_after_the_end, disorder),
        *(stall, tidy, listen, flood),
    )
}


async def plain(scope, receive, send):
    """An app that has never heard of lifespan."""
    assert scope["type"] == "http"
    await whole(send, json.dumps(scope["state"]).encode())


async def unstartable(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the table does not exist"})


not_callable = "an app"
