"""Sandboxes die and Runtime APIs vanish: nobody waits for an answer that cannot come, and no process stays."""

from __future__ import annotations

import asyncio
import signal

from tests.runtime.runtime_driver import PATIENCE, ended, rest_event


async def test_a_sandbox_that_is_killed_cuts_off_its_response(launch) -> None:
    sandbox = await launch()
    invocation = await sandbox.invoke(rest_event("/stall"))
    chunks = invocation.chunks()
    assert [await anext(chunks), await anext(chunks)][1] == b"first"
    sandbox.process.send_signal(signal.SIGKILL)

    assert [chunk async for chunk in chunks] == []
    assert invocation.error is not None
    assert invocation.error["errorType"] == "Runtime.TruncatedResponse"


async def test_whoever_watches_the_sandbox_ends_what_it_left_undone(launch) -> None:
    sandbox = await launch()
    running = await sandbox.invoke(rest_event("/hang"))
    pending = await sandbox.invoke(rest_event("/count", {"n": 1}))
    while running.delivered is None:
        await asyncio.sleep(0.005)
    sandbox.process.kill()
    await sandbox.exit_status()
    sandbox.api.fail_all("Runtime.ExitError", "signal: killed")

    error = {"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"}
    assert [(await ended(invocation)).error for invocation in (running, pending)] == [error, error]


async def test_a_runtime_whose_api_is_gone_for_good_exits(launch) -> None:
    sandbox = await launch()
    await sandbox.api.close()

    assert await sandbox.exit_status() == 1
    assert [line["level"] for line in sandbox.log()] == ["FATAL"]


async def test_a_runtime_whose_api_goes_away_in_mid_stream_exits(launch) -> None:
    sandbox = await launch()
    invocation = await sandbox.invoke(rest_event("/flood"))
    chunks = invocation.chunks()
    for _ in range(3):
        await anext(chunks)
    await sandbox.api.close()

    assert await sandbox.exit_status() == 1
    assert sandbox.log()[-1]["level"] == "FATAL"


async def test_a_dropped_connection_is_opened_again(launch) -> None:
    sandbox = await launch()
    for _ in range(2):
        sandbox.api.drop_connections()
        answer = await sandbox.answer(rest_event("/count", {"n": 1}))
        assert len(answer.parts) == 2
    assert sandbox.process.returncode is None


async def test_an_answer_nobody_waits_for_any_more_is_not_the_end(launch) -> None:
    sandbox = await launch()
    late = await sandbox.invoke(rest_event("/hang"))
    while late.delivered is None:
        await asyncio.sleep(0.005)
    sandbox.api.fail_all("Sandbox.Timedout", "too late")
    next_ = await sandbox.invoke(rest_event("/count", {"n": 1}))
    sandbox.process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(sandbox.process.wait(), PATIENCE) == 0
    assert late.error == {"errorType": "Sandbox.Timedout", "errorMessage": "too late"}
    assert next_.delivered is None
