"""Loading the app and its lifespan: what is reported when they fail, and how the process ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from openresponses_dev.local.sandbox.runtime_api import RuntimeApi
from tests.runtime.runtime_driver import PATIENCE, TASK, environment, rest_event

BROKEN = {
    "missing_import.app": ("Runtime.ImportModuleError", "No module named 'no_such_module_anywhere'"),
    "no_such_module.app": ("Runtime.ImportModuleError", "No module named 'no_such_module'"),
    "syntax.app": ("Runtime.UserCodeSyntaxError", "'(' was never closed"),
    "raises.app": ("Function.RuntimeError", "no configuration"),
    "apps.no_such_app": ("Runtime.HandlerNotFound", "no ASGI application 'no_such_app' in module 'apps'"),
    "apps.not_callable": ("Runtime.HandlerNotFound", "no ASGI application 'not_callable' in module 'apps'"),
    "apps.unstartable": ("Runtime.StartupFailed", "the table does not exist"),
    "apps": ("Runtime.MalformedHandlerName", "_HANDLER is 'apps', not module.attribute"),
    "": ("Runtime.MalformedHandlerName", "_HANDLER is '', not module.attribute"),
}


@pytest.mark.parametrize("handler", BROKEN)
async def test_an_app_that_cannot_start_is_an_init_error(launch, tmp_path: Path, handler: str) -> None:
    sandbox = await launch(handler, ready=False)
    error = await asyncio.wait_for(sandbox.api.init_error, PATIENCE)

    type_, message = BROKEN[handler]
    assert error["errorType"] == type_
    assert message in error["errorMessage"]
    assert await sandbox.exit_status() == 1
    assert not sandbox.api.ready.is_set()
    assert [(line["level"], line["errorType"]) for line in sandbox.log()] == [("FATAL", type_)]


async def test_a_variable_that_makes_no_sense_is_an_init_error(launch) -> None:
    name, value = "OPENRESPONSES_RESPONSE_MODE", "stream"
    sandbox = await launch(ready=False, **{name: value})
    error = await asyncio.wait_for(sandbox.api.init_error, PATIENCE)

    assert error["errorType"] == "Runtime.InvalidEnvironment"
    assert name in error["errorMessage"]
    assert value in error["errorMessage"]
    assert await sandbox.exit_status() == 1


async def test_a_handler_may_be_written_with_slashes(launch) -> None:
    sandbox = await launch("package/nested.app")

    assert (await sandbox.answer(rest_event())).json == {}


async def test_an_app_without_lifespan_is_served(launch) -> None:
    sandbox = await launch("apps.plain")

    assert (await sandbox.answer(rest_event())).json == {}


async def test_an_app_is_shut_down_when_the_sandbox_is_stopped(launch) -> None:
    sandbox = await launch()
    sandbox.process.send_signal(signal.SIGTERM)

    assert await sandbox.exit_status() == 0
    assert sandbox.lines() == ["shut down"]


async def test_the_package_is_a_runtime_too_without_the_wrapper(tmp_path: Path) -> None:
    api = RuntimeApi()
    env = environment(await api.start(), "apps.plain", TASK, PYTHONPATH=os.pathsep.join(sys.path))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "openresponses.runtime", env=env)
    await asyncio.wait_for(api.ready.wait(), PATIENCE)
    process.terminate()

    assert await process.wait() == 0
    await api.close()
