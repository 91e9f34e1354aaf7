"""The life of a sandbox, on one event loop: load the app, start it, and serve invocations until the end."""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import os
import signal
import sys
from contextlib import AsyncExitStack, suppress
from typing import Any, cast

from .asgi import App, lifespan
from .client import Client, Invocation, RefusedError
from .cycle import serve
from .environment import buffered
from .faults import Fault, FaultError, log

ATTEMPTS = 6
FIRST_DELAY_SECONDS = 0.05  # doubled each time: 1.6 s until the Runtime API counts as gone


class GoneError(Exception):
    """The Runtime API does not come back, so no invocation will."""


def main() -> int:
    """The exit status of the process."""
    cast("io.TextIOWrapper", sys.stdout).reconfigure(line_buffering=True)  # a frozen sandbox keeps what it buffers
    return asyncio.run(_until_stopped())


async def _until_stopped() -> int:
    task = asyncio.create_task(sandbox(os.environ["AWS_LAMBDA_RUNTIME_API"]))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 0
    except (GoneError, OSError, EOFError, RefusedError) as error:
        log("FATAL", f"the Runtime API is gone: {error}")
        return 1


async def sandbox(address: str) -> int:
    client = Client(address)
    async with AsyncExitStack() as stack:
        stack.callback(client.close)
        try:
            buffer = buffered(os.environ)
            app = load(os.environ.get("_HANDLER", ""))
            state = await stack.enter_async_context(lifespan(app))
        except Exception as error:
            fault = Fault.of(error)
            log("FATAL", "the sandbox cannot start", fault)
            await client.fail_init(fault)
            return 1
        gc.freeze()  # what was loaded stays, so no collection has to walk through it
        gc.enable()
        with suppress(asyncio.CancelledError):  # stopped: leave in order, through the app's shutdown
            await work(app, client, state, buffer)
    return 0


def load(handler: str) -> App:
    """Import `module.attribute`, where the module's path may be written with slashes. Raises FaultError."""
    module_name, dot, attribute = handler.rpartition(".")
    module_name = module_name.replace("/", ".")
    if not (module_name and dot and attribute):
        raise FaultError("Runtime.MalformedHandlerName", f"_HANDLER is {handler!r}, not module.attribute")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise FaultError("Runtime.ImportModuleError", f"cannot import module {module_name!r}: {error}") from error
    except SyntaxError as error:
        raise FaultError("Runtime.UserCodeSyntaxError", f"syntax error in {module_name!r}: {error}") from error
    app: Any = getattr(module, attribute, None)
    if not callable(app):
        raise FaultError("Runtime.HandlerNotFound", f"no ASGI application {attribute!r} in module {module_name!r}")
    return cast("App", app)


async def work(app: App, client: Client, state: dict[str, Any], buffer: bool) -> None:
    """Serve one invocation after the other over one connection. Raises GoneError."""
    while True:
        invocation = await _next(client)
        os.environ["_X_AMZN_TRACE_ID"] = invocation.headers.get("lambda-runtime-trace-id", "")  # the X-Ray SDK reads it
        # A task of its own, so that context variables end with the invocation that set them.
        await asyncio.create_task(serve(app, client, invocation, state, buffer))


async def _next(client: Client) -> Invocation:
    for attempt in range(ATTEMPTS):
        try:
            return await client.next()
        except (OSError, EOFError, RefusedError) as error:
            client.close()
            if attempt == ATTEMPTS - 1:
                raise GoneError(f"{attempt + 1} attempts, {error}") from error
            await asyncio.sleep(FIRST_DELAY_SECONDS * 2**attempt)
    raise AssertionError("unreachable")
