"""Starts a sandbox, waits until its app has begun to wait, prints its process id, and stays until it is killed."""

import asyncio
import sys
from pathlib import Path

from tests.runtime.runtime_driver import launched, rest_event


async def main() -> None:
    async with launched(Path(sys.argv[1]), "apps.app") as sandbox:
        chunks = (await sandbox.invoke(rest_event("/stall"), seconds=600)).chunks()
        await anext(chunks)
        await anext(chunks)
        print(sandbox.process.pid, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
