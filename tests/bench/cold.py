"""What the first answers of a sandbox cost. Each start is a fresh process, and those that are compared take turns."""

from __future__ import annotations

import time

from tests.bench.figures import Figure, Samples
from tests.bench.measures import APPS, DELTA, OFFLINE, ONE_ROUTE, RAW, local_cloud, upstream
from tests.bench.sandbox import AUTHORIZER, SERVER, STOCK, sandbox

ONE_PROVIDER = f"{APPS}.one_provider.app"
FAKE = {"model": "fake/text", "input": "Say hello."}


async def rows(scale: float) -> list[Figure]:
    rounds = max(1, round(15 * scale))
    return [*await starts(rounds), *await first_provider_answers(rounds)]


async def starts(rounds: int) -> list[Figure]:
    """From the start of the process to its first GET /next; and to the end of its first streamed answer."""
    handlers = (SERVER, ONE_ROUTE, RAW)
    authorizer = list[float]()
    inits = {handler: list[tuple[float, float, float]]() for handler in handlers}
    for number in range(rounds + 1):
        for handler in handlers:
            async with sandbox(handler) as it:
                began = time.monotonic()
                await it.stream(**OFFLINE)
                first = time.monotonic() - began
                if number:  # the first round fills caches, ours of bytecode among them
                    inits[handler].append((it.init.wall * 1e3, it.init.cpu * 1e3, (it.init.wall + first) * 1e3))
        async with sandbox(AUTHORIZER, runtime=STOCK) as it:
            if number:
                authorizer.append(it.init.wall * 1e3)
    walls, cpus, totals = (
        {handler: Samples([each[column] for each in inits[handler]]) for handler in handlers} for column in range(3)
    )
    return [
        Figure("cold init", "ms", walls[SERVER], walls[ONE_ROUTE], "bare FastAPI app", 0.85),
        Figure("  its CPU time", "ms", cpus[SERVER], cpus[ONE_ROUTE], "bare FastAPI app"),
        Figure("  against the least", "ms", walls[SERVER], walls[RAW], "raw ASGI app"),
        Figure("  with the first answer", "ms", totals[SERVER], totals[ONE_ROUTE], "bare FastAPI app", 0.95),
        Figure("  of the authorizer", "ms", Samples(authorizer), walls[ONE_ROUTE], "bare FastAPI app"),
    ]


async def first_provider_answers(rounds: int) -> list[Figure]:
    """To the first text of a sandbox: of a provider, less that of the offline model."""
    async with upstream() as url, local_cloud(url) as cloud:
        in_memory = (ONE_PROVIDER, {"OPENRESPONSES_BENCH_PROVIDER": url})
        in_ssm = (SERVER, cloud.configuration)
        runs = [(where, request) for where in (in_memory, in_ssm) for request in (FAKE, OFFLINE)]
        times = [Samples([]) for _ in runs]
        for number in range(rounds + 1):
            for ((handler, env), request), samples in zip(runs, times, strict=True):
                async with sandbox(handler, **env) as it:
                    answer = await it.stream(**request)
                if number:
                    samples.values.append(answer.until(DELTA) * 1e3)
    fake, offline, configured, beside = times
    return [
        Figure("first answer of a provider", "ms", fake, offline, "offline model", 40, kind="difference"),
        Figure("  its settings read from SSM", "ms", configured, beside, "offline model", kind="difference"),
    ]
