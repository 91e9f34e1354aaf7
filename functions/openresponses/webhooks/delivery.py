"""One attempt to deliver one event to one endpoint. Knows no storage, and tries nothing twice.

Whoever may set an endpoint chooses where this server connects to: the guard judges each URL, and each address.
"""

import asyncio
from collections.abc import Sequence

from ..core.errors import DeliveryFailed
from ..transport.errors import BadStatus, BrokenOff, Forbidden, TimedOut, TransportError, Unreachable
from ..transport.guard import Guard
from ..transport.http import Http
from .events import Event
from .signing import signed

SECONDS = 10.0
"""A try takes no longer, from the name of the host to the status of the answer."""


async def deliver(
    event: Event, url: str, secrets: Sequence[str], guard: Guard, now: float, seconds: float = SECONDS
) -> int:
    """The status of the answer, which is a success. Nothing more of an answer is read than its status.

    Raises DeliveryFailed for all else, a redirect too: nobody else is told. Its message quotes neither the URL nor the
    answer.
    """
    headers = {"user-agent": "openresponses", "accept": "*/*", **signed(secrets, event.id, event.body, now)}
    try:
        http = Http(
            url,
            headers,
            connect_timeout=seconds,
            first_byte_timeout=seconds,
            idle_timeout=seconds,
            guard=guard,
            repeats=False,
        )
    except ValueError:
        raise DeliveryFailed("its URL may not be sent to") from None
    try:
        async with asyncio.timeout(seconds), http.request("POST", body=event.body) as reply:
            return reply.status
    except (TimeoutError, TimedOut):
        raise DeliveryFailed(f"it did not answer within {seconds:g} seconds") from None
    except BadStatus as answer:
        raise DeliveryFailed(_told(answer.status), answered=answer.status) from None
    except TransportError as error:
        raise DeliveryFailed(_REASONS.get(type(error), "nothing could be sent to its URL")) from None
    finally:
        await http.aclose()


_REASONS: dict[type[TransportError], str] = {
    Forbidden: "its host leads to an address that is not public",
    Unreachable: "no connection to it could be made",
    BrokenOff: "the connection to it broke, or what came over it is not HTTP",
}


def _told(status: int) -> str:
    redirects = " (a redirect is not followed)" if 300 <= status < 400 else ""
    return f"it answered with HTTP {status}{redirects}"
