"""Parameters of the SSM Parameter Store under one prefix, cached in memory. Knows nothing of what they mean."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from ..core.errors import StorageUnavailable
from .clients import Aws, Refused

_MAX_CACHED = 1_000
"""Names. Clients choose them, and most may not exist."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Cached(Generic[T]):
    value: T
    until: float


class SsmParameters:
    """`prefix` ends in a slash; `now` gives seconds. A value is cached for `seconds`, and longer while SSM fails.

    `meanwhile` is run once, in a thread, while SSM is first waited for. `key` is the KMS key of what is created here;
    empty is the account's own key for parameters.
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
    ) -> None:
        self._aws, self._prefix, self._now, self._seconds, self._meanwhile = aws, prefix, now, seconds, meanwhile
        self._key = key
        self._texts: OrderedDict[str, _Cached[str | None]] = OrderedDict()
        self._names: dict[str, _Cached[list[str]]] = {}

    async def get(self, name: str) -> str | None:
        """The text, decrypted; None if there is none. Raises StorageUnavailable if SSM fails and nothing is cached."""
        before = self._texts.get(name)
        if before is None or self._now() >= before.until:
            try:
                text = await self._ask(name)
            except (StorageUnavailable, Refused) as error:
                text = _stale(before, error)
            before = self._cache(name, text)
        return before.value

    async def names(self, folder: str) -> list[str]:
        """Sorted. The texts are cached too. Raises StorageUnavailable if SSM fails and nothing is cached."""
        before = self._names.get(folder)
        if before is None or self._now() >= before.until:
            try:
                names = await self._list(folder)
            except (StorageUnavailable, Refused) as error:
                names = _stale(before, error)
            before = self._names[folder] = _Cached(names, self._now() + self._seconds)
        return before.value

    async def create(self, name: str, text: str) -> bool:
        """Write a SecureString unless the parameter exists. Returns whether it did. Raises StorageUnavailable."""
        named = {"Name": self._prefix + name, **({"KeyId": self._key} if self._key else {})}
        try:
            await self._aws.call("ssm", "put_parameter", **named, Value=text, Type="SecureString", Overwrite=False)
        except Refused as refused:
            if refused.code != "ParameterAlreadyExists":
                raise StorageUnavailable(f"The server may not write its parameter {name!r}") from refused
            self._texts.pop(name, None)
            return False
        self._cache(name, text)
        return True

    async def _ask(self, name: str) -> str | None:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await self._aws.run(partial(self._aws.client, "ssm"))  # no waiting yet: the processor makes the client
        asking = self._aws.call("ssm", "get_parameter", Name=self._prefix + name, WithDecryption=True)
        try:
            if meanwhile is None:
                answer = await asking
            else:
                answer, _ = await asyncio.gather(asking, self._aws.run(meanwhile))
        except Refused as refused:
            if refused.code == "ParameterNotFound":
                return None
            raise
        return answer["Parameter"]["Value"]

    async def _list(self, folder: str) -> list[str]:
        names: list[str] = []
        page: dict[str, Any] = {"NextToken": None}
        while "NextToken" in page:
            more = {"NextToken": page["NextToken"]} if page["NextToken"] else {}
            path = f"{self._prefix}{folder}"
            page = await self._aws.call("ssm", "get_parameters_by_path", Path=path, WithDecryption=True, **more)
            for each in page["Parameters"]:
                name = each["Name"].removeprefix(f"{path}/")
                names.append(name)
                self._cache(f"{folder}/{name}", each["Value"])
        return sorted(names)

    def _cache(self, name: str, text: str | None) -> _Cached[str | None]:
        cached = self._texts[name] = _Cached(text, self._now() + self._seconds)
        self._texts.move_to_end(name)
        if len(self._texts) > _MAX_CACHED:
            self._texts.popitem(last=False)
        return cached


def _stale(before: _Cached[T] | None, error: Exception) -> T:
    if before is None:
        raise StorageUnavailable("The server's configuration could not be read: try again") from error
    return before.value
