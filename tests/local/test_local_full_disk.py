"""A full disk, or a terminal that is gone, stops nothing."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from tests.local.local_project import PATIENCE, START, environment, steps, until

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


async def test_requests_are_answered_and_logged_over_a_full_disk(template: Path) -> None:
    stream = io.StringIO()
    log = Log(stream, file=FULL)
    async with LocalCloud(template, log=log) as cloud, httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        for number in range(3):
            program = steps(START, {"print": f"print {number} {'x' * 100_000}"}, {"send": "sent"})
            assert (await client.post(f"{cloud.origin}/print", content=program)).text == "sent"
        await until(lambda: "print 2" in stream.getvalue())
    log.close()
    text = stream.getvalue()
    assert text.count("the log file cannot be written: No space left on device") == 1
    assert [f"Streaming | print {number}" in text for number in range(3)] == [True] * 3
    assert text.count("POST /print  200") == 3


async def test_a_terminal_that_is_gone_stops_nothing(template: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        log = Log(gone, file=tmp_path / "log")
        async with LocalCloud(template, log=log) as cloud, httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{cloud.origin}/print", content=steps(START, {"print": "a"}, {"send": "b"}))
            assert answer.text == "b"
        log.close()
        assert "POST /print  200" in (tmp_path / "log").read_text()
        with pytest.raises(BrokenPipeError):
            gone.close()  # what was not written is still there


@pytest.mark.parametrize("full", ["stdout", "stderr"])
async def test_dev_runs_over_a_full_disk_until_it_is_told_to_end(template: Path, tmp_path: Path, full: str) -> None:
    with FULL.open("w") as nowhere, (tmp_path / "other").open("w") as other:
        where = {"stdout": other, "stderr": other, full: nowhere}
        command = [sys.executable, "-m", "openresponses_dev.cli.cli", "dev", "--port", "0", "--template", str(template)]
        command += ["--log-file", str(tmp_path / "log")]
        process = subprocess.Popen(command, env=environment(), cwd=tmp_path, **where)
        try:
            if full == "stdout":
                await until(lambda: "standard output cannot be written" in (tmp_path / "other").read_text())
            else:
                await until(lambda: "OPENAI_API_KEY" in (tmp_path / "other").read_text())
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(30)
    assert status == 0
