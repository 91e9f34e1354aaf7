"""The switches of the dialect `gemini`, and what a model's name tells of the model.

Sources: Gemini API, "Gemini thinking" and "What's new in Gemini 3.6 Flash"; Agent Platform, "Thinking".
"""

import re
from dataclasses import dataclass
from math import inf

from ...core.settings import ProviderSettings
from ...schema.base import JsonObject
from .._shared.options import Options, read_options


class GeminiOptions(Options):
    """See the table in `gemini`."""

    generation: float | None = None
    include_thoughts: bool | None = None
    extra_body: JsonObject = {}


@dataclass(frozen=True, slots=True)
class GeminiModel:
    """What a model can do. An alias (`gemini-flash-latest`) is of the newest generation; what isn't called Gemini
    (Gemma, tuned models) of one that neither thinks nor signs.
    """

    name: str
    generation: float

    @classmethod
    def of(cls, name: str, options: GeminiOptions) -> "GeminiModel":
        found = re.search(r"gemini-(\d+(?:\.\d+)?)", name)
        told = float(found[1]) if found else inf if "gemini-" in name else 2.0
        return cls(name, told if options.generation is None else options.generation)

    @property
    def thinks(self) -> bool:
        return self.generation >= 2.5

    @property
    def is_3(self) -> bool:
        """It insists on signatures, thinks in levels, and takes media in responses and Google's tools beside ours."""
        return self.generation >= 3

    @property
    def is_pro(self) -> bool:
        return "-pro" in self.name

    @property
    def makes_images(self) -> bool:
        return "-image" in self.name

    @property
    def has_minimal_level(self) -> bool:
        """Flash stopped at 3.7 to have it; Pro never did."""
        return "-lite" in self.name or (self.generation < 3.7 and not self.is_pro)

    @property
    def takes_sampling(self) -> bool:
        """Later models ignore temperature and top_p, and refuse penalties."""
        return self.generation < (3.5 if "-lite" in self.name else 3.6)


def options_of(settings: ProviderSettings) -> GeminiOptions:
    return read_options(GeminiOptions, settings)
