"""That servers can be compared, in small, and that one which answers wrongly is not. No other server is installed."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest

from tests.bench.figures import Machine
from tests.bench.peers import compare
from tests.bench.peers.served import OverHttp, Unusable, answering, free_port, process
from tests.bench.peers.servers import Server, servers
from tests.bench.sandbox import REPO


def served(app: str):
    @asynccontextmanager
    async def serve(folder: Path, url: str) -> AsyncGenerator[OverHttp, None]:
        port = free_port()
        command = (sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning")
        env = {"PYTHONPATH": str(REPO), "BENCH_UPSTREAM": url}
        async with (
            process(command, folder, env) as child,
            answering(OverHttp(f"http://127.0.0.1:{port}/v1", "model", child)) as it,
        ):
            yield it

    return serve


async def absent(folder: Path) -> None:
    raise Unusable("it cannot be installed: there is no such package")


@pytest.mark.bench
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_servers_are_compared_and_one_that_answers_wrongly_is_told(tmp_path: Path):
    rows = await compare.everything(
        [
            servers()[0],
            Server("relay", "by hand", served("tests.bench.apps.relay:app")),
            Server("liar", "says something else", served("tests.bench.apps.starlette_events:app")),
            Server("mute", "ends at once", served("tests.bench.apps.none:app")),
            Server("absent", "nowhere", served(""), absent),
        ],
        tmp_path,
        scale=0.1,
    )
    floor, relay, liar, mute, missing = rows
    assert not floor.failed
    assert not relay.failed
    assert set(floor.samples) == {"first", "end", "together"}
    assert set(relay.samples) == set(compare.MEASURES)
    assert all(samples.median > 0 for samples in relay.samples.values())
    assert relay.samples["end"].median >= relay.samples["first"].median
    assert liar.failed.startswith("it answers something else than the upstream")
    assert mute.failed.startswith("it does not start: ERROR:")
    text = compare.table(Machine.here(), rows, date(2026, 11, 27))
    assert "| measured | none | relay |\n|---|---|---|\n| first text, ms | " in text
    assert "- relay: by hand." in text
    assert "- absent is not in the table: it cannot be installed: there is no such package" in text
    assert missing.samples == {}
