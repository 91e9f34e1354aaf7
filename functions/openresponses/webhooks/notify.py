"""Telling endpoints that a response has ended: all of a tenant's at once, and later one of them again.

Who calls says when a failed delivery is tried again, and when it is given up.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ..core.errors import DeliveryFailed, StorageUnavailable
from ..core.ports import Seal
from ..core.storage import Endpoints
from ..core.webhooks import DeadLetter, Endpoint
from ..transport.guard import Guard
from .delivery import SECONDS, deliver
from .events import Ended, Event, event_of


@dataclass(frozen=True, slots=True)
class WebhookPorts:
    """What webhooks need, bound to one tenant. `now` gives Unix seconds; `new_id` a fresh random token of [0-9a-f]. A
    try takes `seconds` at most.
    """

    endpoints: Endpoints
    seal: Seal
    guard: Guard
    now: Callable[[], float]
    new_id: Callable[[], str]
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Failed:
    """An endpoint that did not take the event, and why. The reason quotes neither its URL nor its answer."""

    endpoint_id: str
    reason: str


async def notify(ports: WebhookPorts, ended: Ended) -> list[Failed]:
    """One try for each endpoint that wants to know, side by side. Raises StorageUnavailable before the first one."""
    if (event := event_of(ended)) is None:
        return []
    wanted = [each for each in (await ports.endpoints.load()).endpoints if event.type in each.event_types]
    return [each for each in await asyncio.gather(*(_tried(ports, event, to) for to in wanted)) if each]


async def retry(ports: WebhookPorts, ended: Ended, endpoint_id: str) -> None:
    """One more try for one endpoint. There is nothing to do for one that is gone, or does not want to know any more.

    Raises DeliveryFailed and StorageUnavailable.
    """
    event = event_of(ended)
    for each in (await ports.endpoints.load()).endpoints:
        if event and each.id == endpoint_id and event.type in each.event_types:
            await send(ports, event, each)


async def give_up(ports: WebhookPorts, ended: Ended, endpoint_id: str, reason: str) -> None:
    """Keep the event as a dead letter. Raises StorageUnavailable."""
    if event := event_of(ended):
        letter = DeadLetter(
            event_id=event.id,
            event_type=event.type,
            response_id=event.response_id,
            endpoint_id=endpoint_id,
            reason=reason,
            created_at=event.created_at,
            given_up_at=int(ports.now()),
        )
        await ports.endpoints.keep_dead(letter)


async def send(ports: WebhookPorts, event: Event, to: Endpoint) -> int:
    """The status of the endpoint's answer, a success. Signed now, since receivers refuse what was signed long ago.

    Raises DeliveryFailed and StorageUnavailable.
    """
    now = ports.now()
    opened = [await ports.seal.open(each.sealed) for each in to.secrets if each.until is None or each.until > now]
    secrets = [secret for target, secret in filter(None, opened) if target == sealed_for(to.id)]
    if not secrets:
        raise DeliveryFailed("its signing secret cannot be opened any more: rotate it")
    return await deliver(event, to.url, secrets, ports.guard, now, ports.seconds)


def sealed_for(endpoint_id: str) -> str:
    """What a secret is sealed for: that of one endpoint does not open as another's."""
    return f"webhooks/{endpoint_id}"


async def _tried(ports: WebhookPorts, event: Event, to: Endpoint) -> Failed | None:
    try:
        await send(ports, event, to)
    except (DeliveryFailed, StorageUnavailable) as error:  # one endpoint's trouble is no other's
        return Failed(to.id, error.message)
    return None
