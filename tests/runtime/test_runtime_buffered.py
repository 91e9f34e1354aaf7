"""Where nothing can stream, the same app answers with one proxy response: on request, and under the emulators."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator import emulator, free_port, wait_for
from tests.runtime.runtime_driver import PATIENCE, environment, rest_event, task_root

BUFFERED = {
    "by choice": {"OPENRESPONSES_RESPONSE_MODE": "buffered"},
    "under sam local": {"AWS_SAM_LOCAL": "true"},
    "under the emulator": {"AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST"},
}
COUNTED = "data: 0\n\ndata: 1\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize("why", BUFFERED)
async def test_the_answer_is_an_ordinary_proxy_response(launch, why: str) -> None:
    sandbox = await launch(**BUFFERED[why])
    answer = await sandbox.answer(rest_event("/count", {"n": 2}))

    assert not answer.invocation.streaming
    assert [json.loads(chunk) for chunk in answer.chunks] == [
        {
            "statusCode": 200,
            "headers": {"content-type": "text/event-stream"},
            "multiValueHeaders": {},
            "body": COUNTED,
            "isBase64Encoded": False,
        }
    ]


async def test_streaming_can_be_forced_where_it_would_not_be_chosen(launch) -> None:
    sandbox = await launch(AWS_SAM_LOCAL="true", OPENRESPONSES_RESPONSE_MODE="streaming")

    assert (await sandbox.answer(rest_event("/count", {"n": 0}))).invocation.streaming


async def test_repeated_headers_stay_apart(launch) -> None:
    sandbox = await launch(OPENRESPONSES_RESPONSE_MODE="buffered")
    [chunk] = (await sandbox.answer(rest_event("/headers"))).chunks

    response = json.loads(chunk)
    assert response["headers"] == {"content-type": "text/plain"}
    assert response["multiValueHeaders"] == {
        "set-cookie": ["a=1; Expires=Thu, 01 Jan 2032 00:00:00 GMT", "b=2"],
        "link": ["<a>", "<b>"],
    }


async def test_the_lifespan_runs_once_here_too(launch) -> None:
    sandbox = await launch(OPENRESPONSES_RESPONSE_MODE="buffered")
    shown = [json.loads(json.loads((await sandbox.answer(rest_event("/show"))).chunks[0])["body"]) for _ in range(2)]

    assert [scope["state"] for scope in shown] == [{"started": 1}] * 2


@pytest.mark.parametrize(("after", "type_"), [(0, "Function.ValueError"), (2, "Function.ValueError")])
async def test_a_failure_is_an_invocation_error_even_late(launch, after: int, type_: str) -> None:
    sandbox = await launch(OPENRESPONSES_RESPONSE_MODE="buffered")
    answer = await sandbox.answer(rest_event("/fail", {"after": after, "how": "raise"}))

    assert (answer.chunks, answer.error_type) == ([], type_)


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[str]:
    """The address of a real emulator that runs our runtime."""
    binary = emulator()
    front, api = (f"127.0.0.1:{free_port()}" for _ in range(2))
    root = task_root(tmp_path)
    env = environment(api, "apps.app", root)
    del env["AWS_LAMBDA_LOG_STREAM_NAME"]  # the emulator's to set
    addresses = ["--runtime-interface-emulator-address", front, "--runtime-api-address", api]
    with (tmp_path / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, *addresses, root / "bootstrap", sys.executable, "/var/runtime/bootstrap.py"],
            cwd=root,
            env=env,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(front, process)
        yield front
    finally:
        process.terminate()  # on which it kills the runtime
        process.wait(PATIENCE)


def emulated_answer(front: str, event: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://{front}/2015-03-31/functions/function/invocations", json.dumps(event).encode()
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return json.load(response)


async def test_the_real_emulator_is_recognised_and_understands_the_answers(emulated: str) -> None:
    counted = await asyncio.to_thread(emulated_answer, emulated, rest_event("/count", {"n": 2}))
    failed = await asyncio.to_thread(emulated_answer, emulated, rest_event("/fail", {"after": 2, "how": "raise"}))
    binary = rest_event("/show", base64.b64encode(b"\xff").decode(), isBase64Encoded=True)
    shown = await asyncio.to_thread(emulated_answer, emulated, binary)

    assert (counted["statusCode"], counted["body"]) == (200, COUNTED)
    assert (failed["errorType"], failed["errorMessage"]) == ("Function.ValueError", "upstream died")
    assert json.loads(shown["body"])["body"] == "\xff"
