import asyncio

TIMEOUT = 0.05


async def overruns() -> str:
    """Take longer than its time."""
    await asyncio.Event().wait()
    return "never"
