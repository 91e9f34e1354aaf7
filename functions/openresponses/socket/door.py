"""The door of the WebSocket API: it opens and closes connections, and hands each message to its lane's worker.

It imports nothing that parses requests: what a message asks for is the worker's business.
"""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from ..client_keys import ClientKey, ended
from ..core.errors import (
    ConnectionGone,
    ConnectionTooOld,
    KitError,
    Overloaded,
    RequestError,
    TooManyMessages,
    Unauthorized,
)
from .envelope import LIFE, About, Heir, Sent, error_frame, lane_of, read, steer_failed
from .ports import Client, Sockets


class Arrived(NamedTuple):
    """A message as it came. `text` is None for one that is no text. `connected` is in Unix seconds."""

    connection_id: str
    message_id: str
    tenant: str
    key_id: str
    connected: float
    text: str | None


class Door:
    """The door of one connection. `find` gives a key by its id, `invoke` starts the worker of a lane."""

    def __init__(
        self,
        sockets: Sockets,
        client: Client,
        find: Callable[[str], Awaitable[ClientKey | None]],
        invoke: Callable[[Heir], Awaitable[None]],
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._sockets, self._client, self._find, self._invoke = sockets, client, find, invoke
        self._now, self._new_id = now, new_id

    async def connect(self, about: About) -> None:
        await self._sockets.open(json.dumps(about).encode())

    async def disconnect(self) -> None:
        await self._sockets.close()

    async def take(self, message: Arrived) -> str:
        """Take a message, or answer it with an error. Returns what became of it, for the log."""
        with suppress(ConnectionGone):
            try:
                return await self._taken(message)
            except KitError as error:
                lane = lane_of(read(message.text or ""))
                await self._client.post(error_frame(error, lane))
                if isinstance(error, Unauthorized | ConnectionTooOld):
                    await self._client.close()
                return error.code
        return ConnectionGone.code

    async def _taken(self, message: Arrived) -> str:
        key = await self._find(message.key_id)
        if key is None or key.tenant != message.tenant or ended(key, self._now()):
            raise Unauthorized("This API key is not valid any more", param="authorization")
        if self._now() > message.connected + LIFE:
            raise ConnectionTooOld("This connection is 60 minutes old: connect again")
        if message.text is None:
            raise RequestError("A message must be text, not binary", code="invalid_json")
        fields = read(message.text)
        if fields.get("type") == "response.steer":
            await self._client.post(steer_failed(fields))
            return "steer"
        return await self._queued(message.message_id, lane_of(fields), _sent(message.text, key))

    async def _queued(self, message_id: str, lane: str, sent: Sent) -> str:
        holder = self._new_id()
        added = await self._sockets.add(lane, message_id, json.dumps(sent).encode(), holder)
        match added:
            case "held":
                await self._start(lane, holder)
            case "queued":
                pass
            case "full":
                raise TooManyMessages(
                    "Too many messages of this connection wait: wait for an answer before you send more"
                )
            case "gone":
                raise ConnectionGone("This connection is closed")
        return added

    async def _start(self, lane: str, holder: str) -> None:
        """If no worker starts, every message that came for it meanwhile is answered."""
        try:
            await self._invoke({"lane": lane, "holder": holder})
        except KitError:
            overloaded = Overloaded("The server is busy: try again")
            for _ in await self._sockets.withdraw(lane, holder):
                await self._client.post(error_frame(overloaded, lane))


def _sent(text: str, key: ClientKey) -> Sent:
    return {"text": text, "key_id": key.id, "models": [*key.models], "mcp": [*key.mcp], "reasoning": key.reasoning}
