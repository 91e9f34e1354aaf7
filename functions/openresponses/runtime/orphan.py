"""Leaving when whoever started the sandbox was killed: an app that waits would otherwise wait until its deadline."""

from __future__ import annotations

import asyncio
import os

CHECK_SECONDS = 1


async def orphaned(address: str) -> None:
    """Returns once the parent is gone and the Runtime API with it.

    A new parent alone proves nothing, and a connection that was closed proves nothing either: a server may close
    an idle one. So the address is tried, but only if there is a reason to.
    """
    parent = os.getppid()
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        if os.getppid() != parent and not await _answers(address):
            return


async def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        return False
    writer.close()
    return True
