"""The options of the dialect `gemini`, and the facts about models and hosts that are told by their names."""

import re
from dataclasses import dataclass

from ...schema.base import JsonObject
from .._shared.facts import Fact, Source, facts_of
from .._shared.options import Options

_THINKING = Source("https://ai.google.dev/gemini-api/docs/thinking", "2026-11")
_SIGNATURES = Source("https://ai.google.dev/gemini-api/docs/thought-signatures", "2026-11")
_3_6 = Source("https://ai.google.dev/gemini-api/docs/generate-content/whats-new-gemini-3.6", "2026-11")
_LEVELS = Source("https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking", "2026-11")
_TOOLS = Source("https://ai.google.dev/gemini-api/docs/tool-combination", "2026-11")
MODELS = (
    Fact(r"-pro", {"is_pro": True}, _LEVELS),
    Fact(r"-image", {"makes_images": True}, _THINKING),
    Fact(r"", {"thinks": True}, _THINKING, since=(2, 5)),
    Fact(r"", {"is_3": True}, _SIGNATURES, since=(3, 0)),
    Fact(r"-lite", {"takes_sampling": False}, _3_6, since=(3, 5)),
    Fact(r"", {"takes_sampling": False}, _3_6, since=(3, 6)),
    Fact(r"-pro", {"levels": ("low", "medium", "high")}, _LEVELS),
    Fact(r"-pro", {"levels": ("low", "high")}, _THINKING, before=(3, 1)),
    Fact(r"", {"levels": ("low", "medium", "high")}, _LEVELS, since=(3, 7)),
    Fact(r"-lite", {"levels": ("minimal", "low", "medium", "high")}, _LEVELS),
)
"""By the model's name and generation."""
FACTS = (Fact(r"^vertex/", {"mixes_tools": False}, _TOOLS),)
"""By `vendor/model`: what the defaults of the options are."""


class GeminiOptions(Options):
    """See the table in the package."""

    generation: float | None = None
    mixes_tools: bool = True
    include_thoughts: bool | None = None
    extra_body: JsonObject = {}


@dataclass(frozen=True, slots=True)
class GeminiModel:
    """What a model can do. The defaults are those of a model that isn't known.

    - `is_3`: it insists on signatures, thinks in levels, and takes media in responses, and Google's tools and a
      format of the answer beside functions (googleapis/python-genai#867).
    - `levels`: those that it can think in.
    - `takes_sampling`: later models ignore `temperature` and `top_p`, and refuse penalties.
    """

    thinks: bool = False
    is_3: bool = False
    is_pro: bool = False
    makes_images: bool = False
    levels: tuple[str, ...] = ("minimal", "low", "medium", "high")
    takes_sampling: bool = True

    @classmethod
    def of(cls, name: str, options: GeminiOptions) -> "GeminiModel":
        """An alias (`gemini-flash-latest`) is of the newest generation; what isn't called Gemini (Gemma, tuned models)
        of one that neither thinks nor signs."""
        found = re.search(r"gemini-(\d+(?:\.\d+)?)", name)
        told = float(found[1]) if found else 99.0 if "gemini-" in name else 2.0
        generation = told if options.generation is None else options.generation
        return cls(**facts_of(MODELS, name, divmod(round(generation * 10), 10)))
