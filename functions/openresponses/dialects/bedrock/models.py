"""The options of the dialect `bedrock`, and the facts about models: Converse is one API, but each family refuses
something else of it. A new version is taken to be like the latest known one.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ...schema.base import JsonObject
from .._shared.facts import UNSOURCED, Fact, Source, Version, facts_of
from .._shared.options import Options


class BedrockOptions(Options):
    """See the table in the package."""

    region: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""
    base_models: dict[str, str] = {}
    cache: Literal["5m", "1h", "off"] = "5m"
    structured_output: Literal["auto", "native", "tool"] = "auto"
    extra_body: JsonObject = {}


Thinking: TypeAlias = Literal["none", "budget", "adaptive", "nova", "effort", "qwen"]
"""How a model is asked to reason: see `thinking`."""

_NOTHING: frozenset[str] = frozenset()
_MEDIA = frozenset({"image", "document", "video"})


@dataclass(frozen=True, slots=True)
class Traits:
    """What a model takes and gives. The defaults are those of a model that isn't known.

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
    - `streams_calls`: ConverseStream takes tools for it, not only Converse.
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
    streams_calls: bool = True


_GUIDE = "https://docs.aws.amazon.com/bedrock/latest/userguide"
_FEATURES = Source(f"{_GUIDE}/conversation-inference-supported-models-features.html", "2026-11")
_CACHES = Source(f"{_GUIDE}/prompt-caching.html", "2026-11")
_SCHEMAS = Source(f"{_GUIDE}/structured-output.html", "2026-11")
_THINKING = Source(f"{_GUIDE}/claude-messages-adaptive-thinking.html", "2026-11")
_BINDING = Source(f"{_GUIDE}/claude-messages-thinking-block-binding.html", "2026-11")
_CLAUDE = Source("https://platform.claude.com/docs/en/about-claude/models/migration-guide", "2026-11")
_OPUS = Source("https://platform.claude.com/docs/en/models/opus-5-5/migration-guide", "2026-11")
_SONNET = Source("https://platform.claude.com/docs/en/models/sonnet-5-5/migration-guide", "2026-11")
_NOVA = Source("https://docs.aws.amazon.com/nova/latest/userguide/tool-use.html", "2026-11")
_NOVA_2 = Source("https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html", "2026-11")
_VERCEL = Source("https://github.com/vercel/ai/tree/main/packages/amazon-bedrock", "2026-11")
_PYDANTIC = Source(
    "https://github.com/pydantic/pydantic-ai/blob/main/pydantic_ai_slim/pydantic_ai/providers/bedrock.py", "2026-11"
)
_LLAMA_4 = Source("https://github.com/earendil-works/pi/issues/3739", "2026-11")
_NO_CALLS = Source("https://github.com/langchain-ai/langchain-aws", "2026-11")
_UNSIGNED = Source("https://github.com/maximhq/bifrost/issues/6942", "2026-11")
MODELS = (
    Fact(
        r"anthropic\.",
        {"off": "disabled", "force": "tool", "results": _MEDIA - {"video"}, "beside": frozenset({"image", "text"})},
        _FEATURES,
    ),
    Fact(r"anthropic\..*3-5-haiku", {"caches": "tools"}, _CACHES),
    Fact(r"anthropic\.", {"thinking": "budget"}, _THINKING, since=(3, 7)),
    Fact(r"anthropic\.", {"caches": "tools"}, _CACHES, since=(3, 7)),
    Fact(r"anthropic\.", {"summarised": True}, _THINKING, since=(4, 0)),
    Fact(r"anthropic\.", {"sampling": 1}, _CLAUDE, since=(4, 1)),
    Fact(r"anthropic\.", {"caches_long": True}, _CACHES, since=(4, 5)),
    Fact(r"anthropic\.", {"caches_long": False}, _CACHES, since=(4, 6), before=(4, 7)),
    Fact(r"anthropic\.", {"schema": True, "strict": True}, _SCHEMAS, since=(4, 5)),
    Fact(r"anthropic\.", {"thinking": "adaptive"}, _THINKING, since=(4, 6)),
    Fact(r"anthropic\.", {"sampling": 0}, _CLAUDE, since=(4, 7)),
    Fact(r"anthropic\.", {"schema": False}, _SCHEMAS, since=(4, 7), before=(4, 9)),
    Fact(r"anthropic\.", {"strict": False}, _SCHEMAS, since=(4, 7)),
    Fact(r"anthropic\.", {"bound": True}, _BINDING, since=(5, 1)),
    Fact(r"anthropic\..*(fable|mythos)", {"off": "", "force": "auto"}, _THINKING),
    Fact(r"anthropic\..*opus", {"off": "", "force": "auto"}, _OPUS, since=(5, 5)),
    Fact(r"anthropic\..*sonnet", {"off": "between_tools", "force": "auto"}, _SONNET, since=(5, 5)),
    Fact(r"amazon\.nova", {"force": "tool", "results": frozenset({"image"}), "plain_schemas": True}, _NOVA),
    Fact(r"amazon\.nova", {"caches": "messages"}, _CACHES),
    Fact(r"amazon\.nova-2", {"thinking": "nova"}, _NOVA_2),
    Fact(r"meta\.", {"results": _MEDIA - {"video"}}, _FEATURES),
    Fact(r"mistral\.", {"force": "any", "results": frozenset({"document"})}, _FEATURES),
    Fact(r"mistral\.", {"json_results": True}, _PYDANTIC),
    Fact(r"mistral\.", {"short_ids": True}, _VERCEL),
    Fact(r"meta\.", {"streams_calls": False}, _FEATURES),
    Fact(r"meta\.llama4", {"streams_calls": False}, _LLAMA_4),
    Fact(
        r"mistral\.(mistral-large-2402|mistral-large-2407|pixtral)|writer\.palmyra", {"streams_calls": False}, _NO_CALLS
    ),
    Fact(r"meta\.|mistral\.|writer\.", {"beside": _NOTHING}, UNSOURCED),
    Fact(r"writer\.", {"status": False}, UNSOURCED),
    Fact(r"openai\.", {"sampling": 0}, _VERCEL),
    Fact(r"openai\.gpt-oss", {"sampling": 2, "thinking": "effort"}, _PYDANTIC),
    Fact(r"qwen\.", {"thinking": "qwen"}, _PYDANTIC),
    Fact(r"openai\.gpt-oss|qwen\.|minimax\.|moonshot", {"plain_reasoning": True}, _UNSIGNED),
    Fact(r"zai\.|moonshot", {"force": "tool"}, _FEATURES),
    Fact(r"moonshot\.kimi-k2-thinking", {"think_tags": True}, _VERCEL),
    Fact(
        r"deepseek\.v3|google\.gemma-3|minimax\.minimax-m2|mistral\.(magistral|ministral|mistral-large-3|voxtral)|moonshot"
        r"|nvidia\.nemotron|openai\.gpt-oss|qwen\.qwen3|zai\.glm",
        {"schema": True, "strict": True},
        _SCHEMAS,
    ),
)
"""By the model's id, and the version of Claude."""


def traits_of(model: str) -> Traits:
    """`model` is a model's id, or an inference profile's, or the ARN of either."""
    return Traits(**facts_of(MODELS, model, _version(model)))


def _version(model: str) -> Version:
    """`anthropic.claude-sonnet-4-5-20250929-v1:0` is (4, 5), `anthropic.claude-3-haiku-20240307-v1:0` (3, 0)."""
    if "anthropic.claude-mythos-preview" in model:
        return (4, 7)
    found = re.search(r"anthropic\.claude-(?:[a-z]+-)?(\d)(?:-(\d)(?!\d))?", model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)
