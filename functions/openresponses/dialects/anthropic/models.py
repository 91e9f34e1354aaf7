"""The options of the dialect `anthropic`, and the facts about Claude models: each generation changed the rules."""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from .._shared.facts import Fact, Source, facts_of
from .._shared.options import Options

ThinkingMode: TypeAlias = Literal["adaptive", "budget", "none"]

_DOCS = "https://platform.claude.com/docs/en"
_THINKING = Source(f"{_DOCS}/build-with-claude/thinking-troubleshooting", "2026-11")
_EFFORT = Source(f"{_DOCS}/build-with-claude/effort", "2026-11")
_MODELS = Source(f"{_DOCS}/models/overview", "2026-11")
_SCHEMAS = Source(f"{_DOCS}/build-with-claude/structured-outputs", "2026-11")
_SYSTEM = Source(f"{_DOCS}/build-with-claude/mid-conversation-system-messages", "2026-11")
_BINDING = Source(f"{_DOCS}/build-with-claude/preserved-thinking", "2026-11")
_OPUS = Source(f"{_DOCS}/models/opus-5-5/migration-guide", "2026-11")
_SONNET = Source(f"{_DOCS}/models/sonnet-5-5/migration-guide", "2026-11")
MODELS = (
    Fact("", {"claude": True, "thinking": "none", "top_effort": "max"}, _THINKING),
    Fact("", {"max_tokens": 4096}, _MODELS),
    Fact("", {"max_tokens": 8192}, _MODELS, since=(3, 5)),
    Fact("", {"thinking": "budget"}, _THINKING, since=(3, 7)),
    Fact("", {"max_tokens": 32_000}, _MODELS, since=(4, 0)),
    Fact("sonnet", {"max_tokens": 64_000}, _MODELS, since=(3, 7)),
    Fact("opus", {"structured_outputs": True}, _SCHEMAS, since=(4, 1), before=(4, 2)),
    Fact("", {"structured_outputs": True}, _SCHEMAS, since=(4, 5)),
    Fact("", {"max_tokens": 64_000}, _MODELS, since=(4, 5)),
    Fact("", {"thinking": "adaptive"}, _THINKING, since=(4, 6)),
    Fact("", {"max_tokens": 128_000}, _MODELS, since=(4, 6)),
    Fact("", {"top_effort": "xhigh"}, _EFFORT, since=(4, 7)),
    Fact("", {"sampling": False}, _OPUS, since=(4, 7)),
    Fact("", {"late_system": True}, _SYSTEM, since=(4, 8)),
    Fact("sonnet", {"late_system": False}, _SYSTEM, since=(5, 0), before=(5, 1)),
    Fact("fable|mythos", {"off": None}, _THINKING, since=(5, 0)),
    Fact("fable|mythos", {"forced_calls": False}, _OPUS, since=(5, 1)),
    Fact("", {"bound": True}, _BINDING, since=(5, 1)),
    Fact("opus", {"off": None, "forced_calls": False}, _OPUS, since=(5, 5)),
    Fact("sonnet", {"off": "between_tools", "forced_calls": False}, _SONNET, since=(5, 5)),
)
"""By the model's family and version."""

FACTS = (
    # They think unless they are told not to, and then refuse a forced call.
    Fact(
        r"^deepseek/",
        {"forced_calls": "not_thinking"},
        Source("https://github.com/deepseek-ai/DeepSeek-V3/issues/1376", "2026-11"),
    ),
    Fact(
        r"^moonshot/kimi-k2\.[56]",
        {"forced_calls": "not_thinking"},
        Source("https://platform.kimi.ai/docs/guide/use-kimi-k2-thinking-model", "2026-11"),
    ),
)
"""By `vendor/model`: what the defaults of the options are, where others speak this wire."""

_NAME = re.compile(
    r"claude-(?:(\d)(?:[-.](\d))?-)?(?P<family>opus|sonnet|haiku|fable|mythos)(?:-(\d{1,2})(?:[-.](\d{1,2}))?)?(?!\d)"
)
"""`claude-opus-4-5-20251101`, `claude-3-7-sonnet-20250219`, `anthropic/claude-opus-4.5`, `us.anthropic.claude-...`"""


class AnthropicOptions(Options):
    """See the table in the package."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    thinking: ThinkingMode | None = None
    drop_stale_thinking: bool = True
    cache: Literal["5m", "1h", False] = "5m"
    structured_outputs: bool | None = None
    strict_tools: bool = False
    web_search: bool = False
    forced_calls: Literal["as_asked", "not_thinking"] = "as_asked"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model takes. The defaults are those of a model that isn't Claude: what all may be expected to take.

    - `off` is the type of thinking that turns thinking off; None: nothing does.
    - `bound`: a thinking block is refused where anything before it has changed.
    - `forces_while_thinking`: a forced call is taken from a model that thinks by default.
    - `late_system`: messages of role `system` may follow the user's.
    - `max_tokens` is the largest limit that the model takes.
    """

    claude: bool = False
    thinking: ThinkingMode = "budget"
    off: Literal["disabled", "between_tools"] | None = "disabled"
    bound: bool = False
    top_effort: Literal["xhigh", "max"] = "xhigh"
    sampling: bool = True
    forced_calls: bool = True
    forces_while_thinking: bool = True
    late_system: bool = False
    structured_outputs: bool = False
    max_tokens: int = 8192


def profile_of(model: str, options: AnthropicOptions) -> Profile:
    """The model's own, changed by the options. A name without a version counts as its family's newest."""
    profile = Profile()
    if found := _NAME.search(model.lower()):
        major, minor = (found[1], found[2]) if found[1] else (found[4], found[5])
        profile = Profile(**facts_of(MODELS, found["family"], (int(major or 99), int(minor or 0))))
    if options.thinking is not None:
        profile = replace(profile, thinking=options.thinking)
    if options.forced_calls == "not_thinking":
        profile = replace(profile, forces_while_thinking=False)
    if options.structured_outputs is not None:
        profile = replace(profile, structured_outputs=options.structured_outputs)
    return profile
