"""`POST /v1/responses/compact`: its body, and its answer."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .base import SLUG, GivenId, JsonObject, Wire, absent
from .items import InputItem, Item
from .limits import MAX_ITEMS, MAX_MODEL
from .request import ProviderPreferences, ReasoningSettings, Word
from .response import ShownCost, Usage


class CompactRequest(Wire):
    """Fields follow `CompactResponseMethodPublicBody`. The three behind `prompt_cache_key` are OpenAI's, `reasoning` is
    Codex's, `provider` is ours.
    """

    model_config = ConfigDict(defer_build=True)

    model: Annotated[str, Field(min_length=1, max_length=MAX_MODEL)]
    input: str | Annotated[list[InputItem], Field(max_length=MAX_ITEMS, fail_fast=True)] | None = None
    previous_response_id: GivenId | None = None
    instructions: str | None = None
    prompt_cache_key: Annotated[str, Field(max_length=64)] | None = None
    prompt_cache_options: JsonObject | None = None
    prompt_cache_retention: Word | None = None
    service_tier: Word | None = None
    reasoning: ReasoningSettings | None = None
    provider: ProviderPreferences | None = absent()


class CompactedResponse(Wire):
    """`output` is the window to go on from. `id` names nothing that is stored."""

    model_config = ConfigDict(defer_build=True)

    id: str
    object: Literal["response.compaction"] = "response.compaction"
    created_at: int
    output: list[Item]
    usage: Usage
    cost: ShownCost | None = absent(alias=f"{SLUG}:cost")
