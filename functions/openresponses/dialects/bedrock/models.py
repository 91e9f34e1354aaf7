"""What a model on Bedrock can do, by its id: Converse is one API, but each family refuses something else of it.

Sources: the user guide of Amazon Bedrock ("Supported models and model features", "Prompt caching", "Structured
outputs", "Adaptive thinking", "Preserved thinking"), that of Amazon Nova ("Tool use", "Extended thinking"), what's
new in each version of Claude (platform.claude.com/docs), and the refusals that vercel/ai (`packages/amazon-bedrock`)
and pydantic-ai (`providers/bedrock.py`) have recorded; maximhq/bifrost#6942 for reasoning without a signature. A new
version is taken to be like the latest known one.
"""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ...core.settings import ProviderSettings
from ...schema.base import JsonObject
from .._shared.options import Options, read_options


class BedrockOptions(Options):
    """See the table in `bedrock`."""

    region: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""
    base_models: dict[str, str] = {}
    cache: Literal["5m", "1h", "off"] = "5m"
    structured_output: Literal["auto", "native", "tool"] = "auto"
    extra_body: JsonObject = {}


def options_of(settings: ProviderSettings) -> BedrockOptions:
    return read_options(BedrockOptions, settings)


Thinking: TypeAlias = Literal["none", "budget", "adaptive", "nova", "effort", "qwen"]
"""How a model is asked to reason: see `_bedrock_reasoning`."""

_NOTHING: frozenset[str] = frozenset()
_MEDIA = frozenset({"image", "document", "video"})


@dataclass(frozen=True, slots=True)
class Traits:
    """The defaults are those of a model that nothing is known of.

    - `off`: the type of thinking that is none, if there is one.
    - `bound`: its reasoning is refused where anything before it has changed.
    - `summarised`: what it shows of its reasoning is a summary.
    - `sampling`: how many of `temperature` and `topP` it takes.
    - `force`: the strongest tool choice that it takes.
    - `plain_reasoning`: its reasoning has no signature, and goes back as text.
    - `caches`: where it takes cache points, `tools` being the most; `caches_long`: for an hour, too.
    - `schema`: it constrains its answer to a JSON schema; `strict`: its calls, too.
    - `results`: what its tool results may hold beside text; `beside`: what may share a message with them.
    - `status`: its tool results may have one; `json_results`: they are JSON.
    - `plain_schemas`: a tool's schema has a type, properties and required ones at its top, and no more.
    - `short_ids`: its ids of calls are nine letters or digits.
    - `think_tags`: its text begins with its reasoning.
    """

    thinking: Thinking = "none"
    off: str = ""
    bound: bool = False
    summarised: bool = False
    sampling: Literal[0, 1, 2] = 2
    force: Literal["auto", "any", "tool"] = "auto"
    plain_reasoning: bool = False
    caches: Literal["nothing", "messages", "tools"] = "nothing"
    caches_long: bool = False
    schema: bool = False
    strict: bool = False
    results: frozenset[str] = _NOTHING
    beside: frozenset[str] = _MEDIA | {"text"}
    status: bool = True
    json_results: bool = False
    plain_schemas: bool = False
    short_ids: bool = False
    think_tags: bool = False


def traits_of(model: str) -> Traits:
    """`model` is a model's id, or an inference profile's, or the ARN of either."""
    if "anthropic." in model:
        return _claude(model.partition("anthropic.")[2])
    traits = next((traits for name, traits in _FAMILIES.items() if name in model), Traits())
    if any(name in model for name in _SCHEMAS):
        traits = replace(traits, schema=True, strict=True)
    return traits


def _claude(name: str) -> Traits:
    version = _version(name)
    family = next((each for each in ("opus", "sonnet", "fable", "mythos") if each in name), "")
    always_thinks = family in ("fable", "mythos") or (family == "opus" and version >= (5, 5))
    latest_sonnet = family == "sonnet" and version >= (5, 5)
    return Traits(
        thinking="none" if version < (3, 7) else "budget" if version < (4, 6) else "adaptive",
        off="" if always_thinks else "between_tools" if latest_sonnet else "disabled",
        bound=version >= (5, 1),
        summarised=version >= (4, 0),
        sampling=2 if version < (4, 1) else 1 if version < (4, 7) else 0,
        force="auto" if always_thinks or latest_sonnet else "tool",
        caches="tools" if version >= (3, 7) or "3-5-haiku" in name else "nothing",
        caches_long=version >= (4, 5),
        schema=version >= (4, 5) and version not in ((4, 7), (4, 8)),
        strict=(4, 5) <= version < (4, 7),
        results=frozenset({"image", "document"}),
        beside=frozenset({"image", "text"}),
    )


def _version(name: str) -> tuple[int, int]:
    """`claude-sonnet-4-5-20250929-v1:0` is (4, 5), `claude-3-haiku-20240307-v1:0` (3, 0)."""
    if "mythos-preview" in name:
        return (4, 7)
    found = re.match(r"claude-(?:[a-z]+-)?(\d)(?:-(\d)(?!\d))?", name)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


_NOVA = Traits(force="tool", caches="messages", results=frozenset({"image"}), plain_schemas=True)
_MISTRAL = Traits(force="any", beside=_NOTHING, json_results=True, short_ids=True, results=frozenset({"document"}))
_KIMI = Traits(force="tool", plain_reasoning=True)
_FAMILIES = {
    "amazon.nova-2": replace(_NOVA, thinking="nova"),
    "amazon.nova": _NOVA,
    "meta.": Traits(results=frozenset({"image", "document"}), beside=_NOTHING),
    "mistral.": _MISTRAL,
    "openai.gpt-oss": Traits(thinking="effort", plain_reasoning=True),
    "openai.": Traits(sampling=0),
    "qwen.": Traits(thinking="qwen", plain_reasoning=True),
    "minimax.": Traits(plain_reasoning=True),
    "zai.": Traits(force="tool"),
    "moonshot.kimi-k2-thinking": replace(_KIMI, think_tags=True),
    "moonshot": _KIMI,
    "writer.": Traits(beside=_NOTHING, status=False),
}
"""By a part of the model's id; the first that fits."""

_SCHEMAS = (
    "deepseek.v3",
    "google.gemma-3",
    "minimax.minimax-m2",
    "mistral.magistral",
    "mistral.ministral",
    "mistral.mistral-large-3",
    "mistral.voxtral",
    "moonshot",
    "nvidia.nemotron",
    "openai.gpt-oss",
    "qwen.qwen3",
    "zai.glm",
)
