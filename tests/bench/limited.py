"""What limits add: a key without any, in turns with one that has some, and with one whose tenant has some too."""

from __future__ import annotations

import asyncio
import time

import httpx2

from openresponses.client_keys import make, new_token
from openresponses.core.storage import Limits
from openresponses.storage.dynamodb.client_keys import store_key
from openresponses.storage.dynamodb.limits import change_limits, limits_update
from tests.bench.durable import asked, held, stream
from tests.bench.figures import Figure, Samples
from tests.bench.metered import PATIENCE_S, MeteredCloud, depth

MUCH = Limits(requests_per_minute=10**6, tokens_per_minute=10**9, concurrent=100)
KINDS = {"none": (Limits(), Limits()), "key": (MUCH, Limits()), "both": (MUCH, MUCH)}
AGAINST = "a key without limits"
SETTLED = 0.15
"""Seconds in which a response is billed, after its last byte: the next request shares no core with that."""


async def rows(it: MeteredCloud, scale: float) -> list[Figure]:
    """All figures; `scale` shortens the run."""
    clients = {kind: client_of(it, kind, *limits) for kind, limits in KINDS.items()}
    try:
        return [*await _calls(it, clients), *await _latency(clients, max(2, round(60 * scale)))]
    finally:
        for client in clients.values():
            await client.aclose()


def client_of(it: MeteredCloud, tenant: str, of_key: Limits, of_tenant: Limits) -> httpx2.AsyncClient:
    """With a key of its own."""
    dynamodb, token = it.aws.client("dynamodb"), new_token()
    key = make(token, tenant, now=time.time())
    store_key(dynamodb, "ResponsesTable", key, [limits_update(tenant, key.id, of_key)])
    if of_tenant != Limits():
        change_limits(dynamodb, "ResponsesTable", tenant, None, of_tenant)
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.AsyncClient(base_url=it.base_url, headers=headers, timeout=PATIENCE_S)


async def _calls(it: MeteredCloud, clients: dict[str, httpx2.AsyncClient]) -> list[Figure]:
    """Of storage, one after another, before the first event of a response that is not stored."""
    found = dict[str, float]()
    for kind, client in clients.items():
        await stream(client, asked("Say hello.", store=False))
        await asyncio.sleep(1)  # its bill is settled after its last byte
        async with held(it, 0.2) as since:
            answer = await stream(client, asked("Say hello.", store=False))
        found[kind] = float(depth(it.meter.of(f"{kind}/meter", since, answer.began + answer.first)))
    name = "before the first event, with limits of a key"
    return [
        Figure(name, "storage calls", Samples([found["key"]]), goal=1),
        Figure("  of a key and its tenant", "storage calls", Samples([found["both"]]), goal=1),
        Figure("  without limits", "storage calls", Samples([found["none"]]), goal=0),
    ]


async def _latency(clients: dict[str, httpx2.AsyncClient], rounds: int) -> list[Figure]:
    firsts = {kind: list[float]() for kind in clients}
    for number in range(rounds + 3):
        for kind, client in clients.items():
            answer = await stream(client, asked("Say hello.", store=False))
            await asyncio.sleep(SETTLED)
            if number >= 3:
                firsts[kind].append(answer.first * 1e3)
    none, key, both = (Samples(firsts[kind]) for kind in ("none", "key", "both"))
    return [
        Figure("first event, with limits of a key", "ms", key, none, AGAINST, kind="difference"),
        Figure("  of a key and its tenant", "ms", both, none, AGAINST, kind="difference"),
    ]
