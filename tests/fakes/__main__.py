"""The fake upstreams of all dialects, in one process. Prints one line of JSON: providers, named as their dialects."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress

from tests.fakes.server import dialects, fake_upstream


async def _serve() -> None:
    async with AsyncExitStack() as stack:
        upstreams = {name: await stack.enter_async_context(fake_upstream(name)) for name in dialects()}
        print(json.dumps({name: upstream.settings for name, upstream in upstreams.items()}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve())
