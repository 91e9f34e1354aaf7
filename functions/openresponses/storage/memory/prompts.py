"""Prompts, in memory."""

from ...core.prompts import Prompt, PromptVersion, number_of
from ...schema.request import CreateResponse
from .shelf import Shelf


class MemoryPrompts:
    def __init__(self, shelf: Shelf) -> None:
        self._prompts = shelf.prompts

    async def find(self, prompt_id: str, version: str | None = None) -> Prompt | None:
        bodies = self._prompts.get(prompt_id, [])
        number = len(bodies) if version is None else number_of(version)
        if not number or number > len(bodies) or not bodies[number - 1]:
            return None
        return Prompt(number, CreateResponse.model_validate_json(bodies[number - 1]))

    async def add(self, prompt_id: str, body: CreateResponse) -> PromptVersion:
        bodies = self._prompts.setdefault(prompt_id, [])
        bodies.append(body.model_dump_json(exclude_unset=True))
        return PromptVersion(prompt_id, len(bodies), 0)

    async def listed(self) -> list[PromptVersion]:
        found = sorted(self._prompts.items())
        return [PromptVersion(prompt_id, len(bodies), 0) for prompt_id, bodies in found if bodies[-1]]

    async def remove(self, prompt_id: str) -> bool:
        bodies = self._prompts.get(prompt_id, [])
        there = any(bodies)
        bodies[:] = [""] * len(bodies)
        return there
