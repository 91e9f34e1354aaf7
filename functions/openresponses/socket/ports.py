"""What the room needs from the world: what is kept of a connection, and the way to its client.

A **lane** is the queue of a connection's messages with one `stream_id`. It belongs to one **holder**, an invocation of
the worker, as long as its lease lasts. Every method of a holder raises Superseded if the lane is another's now.
"""

from typing import Literal, Protocol, TypeAlias

Added: TypeAlias = Literal["held", "queued", "full", "gone"]
Found: TypeAlias = Literal["in_order", "died", "doubtful"]


class Sockets(Protocol):
    """One connection at rest, in JSON that nobody else can read. It is gone with the connection, and expires without.

    Every method may raise StorageUnavailable.
    """

    async def open(self, about: bytes) -> None: ...

    async def about(self) -> bytes | None:
        """None if the connection is not open."""
        ...

    async def close(self) -> None:
        """Keep nothing of it."""
        ...

    async def add(self, lane: str, message_id: str, message: bytes, holder: str) -> Added:
        """Put a message into a lane. Its id begins with the time at which it came, of a fixed width, and `#`.

        `held`: nobody had the lane, and now `holder` has. `full`: too many wait, or the connection has too many lanes.
        """
        ...

    async def withdraw(self, lane: str, holder: str) -> list[str]:
        """Empty a lane that its holder could not begin with. Returns the messages' ids."""
        ...

    async def begin(self, lane: str, holder: str, *, resumes: bool) -> Found:
        """To be called once by a holder: who comes twice gets Superseded. `died`: a message died with the holder
        before, and is to be settled. `doubtful`: that holder may have sent a turn's last frame, or not. One that
        `resumes` the message finds the lane in order.
        """
        ...

    async def renew(self, lane: str, holder: str) -> None: ...

    async def next(self, lane: str, holder: str) -> tuple[str, bytes] | None:
        """Take the message that came first: its id, and itself. None if none waits: the lane is nobody's then. The last
        frame of the one before is out.
        """
        ...

    async def message(self, message_id: str) -> bytes | None:
        """One that was taken, as long as its turn lasts."""
        ...

    async def settle(self, lane: str, holder: str, response_id: str | None = None, memory: bytes | None = None) -> None:
        """The turn of the message that was taken is over: nobody will say that it died. Its last frame goes out now.
        `response_id` is what came of it. It takes the place of the lane's response before it, whose memory is gone.
        """
        ...

    async def pass_on(self, lane: str, holder: str, heir: str, *, died: bool = False) -> None:
        """Give the lane to another holder, which has yet to begin. Unless the one before `died`, no frame of it is on
        its way.
        """
        ...

    async def recall(self, response_id: str) -> bytes | None:
        """The memory of a response of any lane."""
        ...

    async def forget(self, response_id: str) -> None: ...


class Client(Protocol):
    """The client of one connection. Every method raises ConnectionGone."""

    async def post(self, frame: bytes) -> None: ...

    async def close(self) -> None: ...
