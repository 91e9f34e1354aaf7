"""Parameters of the SSM Parameter Store under one prefix, cached in memory. Knows nothing of what they mean.

A folder is read as a whole: GetParametersByPath gives names and texts at once, ten in a call, so the first request
waits no longer for it than for one GetParameter. What a folder does not list does not exist: a name that a client made
up costs no call, and no memory. All that an account does has 40 of these calls a second, unless it pays for more:
https://docs.aws.amazon.com/general/latest/gr/ssm.html
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..core.errors import StorageUnavailable
from .clients import Aws, Refused

EARLY = 0.25
"""The largest part of its time that a text may be read again too early: sandboxes that began together drift apart."""
_FIRST_PAUSE = 1.0
"""Seconds without a call after SSM failed. They double with each failure, up to the time that texts are cached for."""


@dataclass(slots=True)
class _Cached:
    """What is known of a folder, or of a single parameter. `texts` are by name; None before it was ever read."""

    texts: Mapping[str, str] | None = None
    until: float = 0.0
    failures: int = 0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class SsmParameters:
    """`prefix` ends in a slash; `now` gives seconds. Texts are cached for up to `seconds`, and longer while SSM fails.

    `meanwhile` is run once, in a thread, while SSM is first waited for. `key` is the KMS key of what is created here;
    empty is the account's own key for parameters. `chance` gives numbers between 0 and 1.
    """

    def __init__(
        self,
        aws: Aws,
        prefix: str,
        now: Callable[[], float],
        *,
        seconds: float,
        meanwhile: Callable[[], None] | None = None,
        key: str = "",
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._aws, self._prefix, self._now, self._seconds, self._meanwhile = aws, prefix, now, seconds, meanwhile
        self._key, self._chance = key, chance
        self._cached: dict[str, _Cached] = {}

    async def get(self, name: str) -> str | None:
        """The text, decrypted; None if there is none. Raises StorageUnavailable if SSM fails and nothing is cached."""
        folder, _, _ = name.rpartition("/")
        texts = await (self._read(folder, self._list) if folder else self._read(name, self._ask))
        return texts.get(name)

    async def names(self, folder: str) -> list[str]:
        """Sorted. Raises StorageUnavailable if SSM fails and nothing is cached."""
        return sorted(name.removeprefix(f"{folder}/") for name in await self._read(folder, self._list))

    async def create(self, name: str, text: str) -> bool:
        """Write a SecureString, which is in no folder, unless it exists. Whether it did. Raises StorageUnavailable."""
        named = {"Name": self._prefix + name, **({"KeyId": self._key} if self._key else {})}
        try:
            await self._aws.call("ssm", "put_parameter", **named, Value=text, Type="SecureString", Overwrite=False)
        except Refused as refused:
            if refused.code != "ParameterAlreadyExists":
                raise StorageUnavailable(f"The server may not write its parameter {name!r}") from refused
            self._cached.pop(name, None)
            return False
        self._cached[name] = _Cached({name: text}, self._now() + self._seconds)
        return True

    async def _read(self, place: str, ask: Callable[[str], Awaitable[Mapping[str, str]]]) -> Mapping[str, str]:
        """What is in a place, a folder or a single name. Whoever comes while it is read waits for that one reading."""
        cached = self._cached.setdefault(place, _Cached())
        if self._now() >= cached.until:
            async with cached.reading:
                if self._now() >= cached.until:
                    await self._refresh(cached, ask(place))
        if cached.texts is None:
            raise StorageUnavailable("The server's configuration could not be read: try again")
        return cached.texts

    async def _refresh(self, cached: _Cached, asking: Awaitable[Mapping[str, str]]) -> None:
        try:
            cached.texts, cached.failures, seconds = await asking, 0, self._seconds
        except (StorageUnavailable, Refused):
            seconds = min(self._seconds, _FIRST_PAUSE * 2**cached.failures)
            cached.failures = min(cached.failures + 1, 16)
        cached.until = self._now() + seconds * (1 - EARLY * self._chance())

    async def _ask(self, name: str) -> Mapping[str, str]:
        try:
            answer = await self._call("get_parameter", Name=self._prefix + name)
        except Refused as refused:
            if refused.code == "ParameterNotFound":
                return {}
            raise
        return {name: answer["Parameter"]["Value"]}

    async def _list(self, folder: str) -> Mapping[str, str]:
        texts: dict[str, str] = {}
        more: dict[str, str] = {}
        while True:
            page = await self._call("get_parameters_by_path", Path=self._prefix + folder, **more)
            texts |= {each["Name"].removeprefix(self._prefix): each["Value"] for each in page["Parameters"]}
            if "NextToken" not in page:
                return texts
            more = {"NextToken": page["NextToken"]}

    async def _call(self, operation: str, **parameters: str) -> dict[str, Any]:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await self._aws.run(partial(self._aws.client, "ssm"))  # no waiting yet: the processor makes the client
        asking = self._aws.call("ssm", operation, WithDecryption=True, **parameters)
        if meanwhile is None:
            return await asking
        answer, _ = await asyncio.gather(asking, self._aws.run(meanwhile))
        return answer
