"""Parameters in memory."""

from dataclasses import dataclass, field


@dataclass
class MemoryParameters:
    """Texts by name."""

    texts: dict[str, str] = field(default_factory=dict[str, str])

    async def get(self, name: str) -> str | None:
        return self.texts.get(name)

    async def names(self, folder: str) -> list[str]:
        return sorted(name.removeprefix(f"{folder}/") for name in self.texts if name.startswith(f"{folder}/"))
