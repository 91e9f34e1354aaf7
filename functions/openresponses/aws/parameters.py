"""Parameters of the SSM Parameter Store under one prefix, kept in memory. Knows nothing of what they say."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ..core.errors import StorageUnavailable
from .clients import Aws, Refused
from .sdk import Client

FRESH_SECONDS = 60.0
_KEPT = 1_000
"""Names. Clients choose them, and most may not exist."""


@dataclass(frozen=True, slots=True)
class _Answer:
    text: str | None
    until: float


class SsmParameters:
    """`prefix` ends in a slash. `aws` lends its threads; `now` gives seconds."""

    def __init__(self, aws: Aws, region: str, prefix: str, now: Callable[[], float]) -> None:
        self._aws, self._prefix, self._now = aws, prefix, now
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._client = Client("ssm", region, read_timeout=5.0, attempts=3, connections=10)

    async def get(self, name: str) -> str | None:
        """The text of a parameter, None if there is none: as it was within the last minute, or longer ago where SSM
        does not answer. Raises StorageUnavailable where it never did.
        """
        before = self._answers.get(name)
        if before is not None and self._now() < before.until:
            return before.text
        try:
            text = await self._ask(name)
        except (StorageUnavailable, Refused) as error:
            if before is None:
                raise StorageUnavailable("The tools could not be looked up: try again") from error
            text = before.text
        self._answers[name] = _Answer(text, self._now() + FRESH_SECONDS)
        self._answers.move_to_end(name)
        if len(self._answers) > _KEPT:
            self._answers.popitem(last=False)
        return text

    async def _ask(self, name: str) -> str | None:
        try:
            answer = await self._aws.run(lambda: self._client().get_parameter(Name=self._prefix + name))
        except Refused as refused:
            if refused.code == "ParameterNotFound":
                return None
            raise
        return answer["Parameter"]["Value"]
