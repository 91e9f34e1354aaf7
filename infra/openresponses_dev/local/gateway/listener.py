"""The socket that a server listens at. It may outlive the server: who connects between two of them waits."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from openresponses_dev.local.address import LOOPBACK


class PortTaken(Exception):
    """Another process listens there."""

    def __init__(self, port: int, why: str) -> None:
        super().__init__(f"port {port} on {LOOPBACK} {why}")
        self.port = port


class Listener:
    """At `port` of this machine, from the first `open` until `close`. Port 0 is any free port, and stays the same."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """Once opened, the one that it has."""
        return self._port

    def open(self) -> socket.socket:
        """A duplicate, for one server to close. Raises PortTaken."""
        if self._socket is None:
            self._socket = _listening(self._port)
            self._port = int(self._socket.getsockname()[1])
        return self._socket.dup()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass(frozen=True, slots=True)
class Listeners:
    """Of a local cloud: its REST API's, and its WebSocket API's."""

    rest: Listener
    sockets: Listener

    @classmethod
    def at(cls, port: int) -> Listeners:
        return cls(Listener(port), Listener(0))

    def close(self) -> None:
        self.rest.close()
        self.sockets.close()


def _listening(port: int) -> socket.socket:
    # asyncio turns Nagle off only where the protocol is named: without it every second request waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(100)
    except OSError as error:
        listener.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        taken = error.errno == errno.EADDRINUSE
        raise PortTaken(port, "is taken by another process" if taken else "needs more rights") from error
    return listener
