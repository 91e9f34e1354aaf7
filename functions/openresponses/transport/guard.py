"""Where a connection may go whose URL a client chose. Knows no tool, and nothing of the core.

A URL is judged as it comes, and each address of its host whenever a connection is made. The connection goes to the
address that was judged: a name that leads elsewhere a moment later changes nothing.

Only addresses of the public internet pass. The tables name what IANA's registries take out of it, and what leads back
into IPv4 by another way. `ipaddress.is_global` is another table with each version of Python, and calls some of them
global: IPv4-compatible and NAT64 forms of private addresses, and 192.88.99.0/24.

https://www.iana.org/assignments/iana-ipv4-special-registry
https://www.iana.org/assignments/iana-ipv6-special-registry
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from .errors import Forbidden

Address: TypeAlias = IPv4Address | IPv6Address
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> the addresses of the host, as texts, the first choice first. Raises OSError where it has none."""

_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network: Linux connects 0.0.0.0 to itself
            "10.0.0.0/8",
            "100.64.0.0/10",  # between a provider and its customers
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local: 169.254.169.254 tells AWS's credentials
            "172.16.0.0/12",
            "192.0.0.0/24",  # IETF protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and the broadcast address
        ),
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")
"""All that was ever given out of IPv6. Beside it are ::1, mapped IPv4, unique local (fd00:ec2::254 tells AWS's
credentials), link-local, site-local and multicast addresses."""
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments: Teredo, benchmarks, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
"""What DNS64 makes of a public IPv4 address, where a network has IPv6 alone (RFC 6052, section 2.1)."""


def is_public(address: Address) -> bool:
    """Whether it is an address of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in each for each in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(address.packed[-4:]))
    return address in _PUBLIC_6 and not any(address in each for each in _NOT_PUBLIC_6)


class Guard:
    """The rule of a deployment. With `loopback`, for a local cloud, a connection may also go to loopback addresses,
    and there by http too. `resolve` replaces the system's resolver, for tests.
    """

    def __init__(self, loopback: bool = False, resolve: Resolve | None = None) -> None:
        self._loopback, self._resolve = loopback, resolve or _resolved

    def check(self, url: str) -> str:
        """The host of a URL, as it is compared: in ASCII and lower case.

        Raises ValueError, which says to its author what the URL must be, and quotes none of it.
        """
        host, secure = host_of(url), url[:6].lower() == "https:"
        if not (secure or self._loopback):
            raise ValueError("must be an https URL")
        if (address := _address(host)) and not self.may(address, secure=secure):
            raise ValueError("must lead to a public address")
        return host

    async def addresses(self, host: str, port: int, *, secure: bool) -> list[str]:
        """Where to connect for `host`, the first choice first. `secure`: TLS is spoken.

        Raises Forbidden if a single one of its addresses may not be connected to: whoever mixes them means to be let
        through by chance. Raises OSError if it has no address.
        """
        literal = _address(host)
        found = dict.fromkeys([literal] if literal else map(_address, await self._resolve(host, port)))
        if not found:
            raise OSError("the name has no address")
        if not all(each is not None and self.may(each, secure=secure) for each in found):
            raise Forbidden
        return [str(each) for each in found]

    def may(self, address: Address, *, secure: bool) -> bool:
        """Whether it may be connected to."""
        return (secure and is_public(address)) or (self._loopback and address.is_loopback)


@cache
def _lookups() -> ThreadPoolExecutor:
    """Threads of their own: a name whose servers don't answer holds one for many seconds, and a client may name many.
    What else runs in threads, such as AWS's clients, doesn't wait for them.
    """
    return ThreadPoolExecutor(8, "lookup")


async def _resolved(host: str, port: int) -> list[str]:
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_lookups(), look_up)
    return [f"{each[0]}%{each[3]}" if len(each) == 4 and each[3] else str(each[0]) for *_, each in found]


def _address(text: str) -> Address | None:
    """A mapped IPv4 address is that address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]*)?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def host_of(url: str) -> str:
    """The host of an http or https URL, in ASCII and lower case, where every program reads it in the same way.

    Raises ValueError, which says what the URL must be, and quotes none of it.
    """
    try:
        split = None if any(each <= " " or each in "\\\x7f" for each in url) else urlsplit(url)
        port = split and split.port
    except ValueError:
        split, port = None, 0
    if split is None or split.scheme not in ("http", "https") or not split.netloc:
        raise ValueError("must be an https URL")
    if "@" in split.netloc:
        raise ValueError("must hold no user name and no password")
    host = _ascii(split.hostname or "")
    if port == 0 or not _is_host(split, host):
        raise ValueError("must name a host by a domain name, or by an address in its usual form")
    return host


_READ_IN_TWO_WAYS = "\u00df\u03c2\u200c\u200d"
"""Characters that make two hosts of a name: IDNA 2003 and 2008 write them differently (UTS 46, section 7)."""


def _ascii(host: str) -> str:
    if any(each in _READ_IN_TWO_WAYS for each in host):
        return ""
    try:
        return (host if host.isascii() else host.encode("idna").decode()).lower()
    except UnicodeError:
        return ""


def _is_host(split: SplitResult, host: str) -> bool:
    """A name whose last part is a number is read as an IPv4 address, in forms that differ between programs
    (https://url.spec.whatwg.org/#concept-ipv4-parser): only the usual one is taken.
    """
    if _BRACKETED.fullmatch(split.netloc):
        return _address(host) is not None
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return isinstance(_address(host), IPv4Address)
    return _NAME.fullmatch(host) is not None
