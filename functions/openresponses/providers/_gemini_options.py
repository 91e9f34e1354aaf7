"""The switches of the dialect `gemini`, and what a model's name tells of its generation."""

import re

from pydantic import BaseModel, ConfigDict, ValidationError

from ..core.settings import ProviderSettings
from ..schema.base import JsonObject


class GeminiOptions(BaseModel):
    """See the table in `gemini`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    generation: float | None = None
    include_thoughts: bool | None = None
    extra_body: JsonObject = {}

    def generation_of(self, model: str) -> float:
        """3.0 for an alias (`gemini-flash-latest`), 2.0 for what isn't called Gemini: Gemma, tuned models."""
        if self.generation is not None:
            return self.generation
        if found := re.search(r"gemini-(\d+(?:\.\d+)?)", model):
            return float(found[1])
        return 3.0 if "gemini" in model else 2.0


def options_of(settings: ProviderSettings) -> GeminiOptions:
    """Raises ValueError that names a wrong option, without its value."""
    try:
        return GeminiOptions.model_validate(settings.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"provider {settings.name!r}: options.{where}: {first['msg']}") from None
