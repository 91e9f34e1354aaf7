"""What calls were answered with that wait for it, in memory."""

from ...core.answers import Answer
from ...core.loading import unlimited
from .shelf import Shelf


class MemoryAnswers:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def keep(self, response_id: str, answer: Answer) -> None:
        entry = self._shelf.responses.get(response_id)
        if entry is not None and not entry.load(unlimited()).over:
            entry.answers.setdefault(answer.call_id, answer.model_dump_json())

    async def of(self, response_id: str) -> list[Answer]:
        entry = self._shelf.responses.get(response_id)
        return [Answer.model_validate_json(each) for each in entry.answers.values()] if entry else []
