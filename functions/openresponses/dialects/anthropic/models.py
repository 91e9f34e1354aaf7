"""What Claude models take and refuse, by their names: each generation changed the wire's rules.

Sources, all at platform.claude.com/docs: "Troubleshooting thinking" (the table of thinking types), "Effort",
"Models overview" (limits), "Structured outputs", "Mid-conversation system messages", "Preserved thinking", and
the migration guides of Opus 5.5, Sonnet 5.5 and Haiku 5.5.
"""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ...core.settings import ProviderSettings
from .._shared.options import Options, read_options

ThinkingMode: TypeAlias = Literal["adaptive", "budget", "none"]


class AnthropicOptions(Options):
    """See the table in `anthropic`."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    thinking: ThinkingMode | None = None
    drop_stale_thinking: bool = True
    cache: Literal["5m", "1h", False] = "5m"
    structured_outputs: bool | None = None
    strict_tools: bool = False
    web_search: bool = False


def options_of(settings: ProviderSettings) -> AnthropicOptions:
    return read_options(AnthropicOptions, settings)


Version: TypeAlias = tuple[int, int]

_NAME = re.compile(
    r"claude-(?:(\d)(?:[-.](\d))?-)?(?P<family>opus|sonnet|haiku|fable|mythos)(?:-(\d{1,2})(?:[-.](\d{1,2}))?)?(?!\d)"
)
"""`claude-opus-4-5-20251101`, `claude-3-7-sonnet-20250219`, `anthropic/claude-opus-4.5`, `us.anthropic.claude-...`"""
_NEWEST: Version = (99, 0)
_ALWAYS_THINKS_SINCE: dict[str, Version] = {"opus": (5, 5), "fable": (5, 0), "mythos": (5, 0)}
_NO_FORCED_CALLS_SINCE: dict[str, Version] = {"opus": (5, 5), "sonnet": (5, 5), "fable": (5, 1), "mythos": (5, 1)}


@dataclass(frozen=True, slots=True)
class Profile:
    """The defaults are those of a server that isn't known: what all of them may be expected to take.

    `off` is the thinking type that turns thinking off; None: nothing does. `bound`: a thinking block is refused
    where anything before it has changed. `late_system`: messages of role `system` may follow the user's.
    """

    claude: bool = False
    thinking: ThinkingMode = "budget"
    off: Literal["disabled", "between_tools"] | None = "disabled"
    bound: bool = False
    top_effort: Literal["xhigh", "max"] = "xhigh"
    sampling: bool = True
    forced_calls: bool = True
    late_system: bool = False
    structured_outputs: bool = False
    max_tokens: int = 8192


def profile_of(model: str, options: AnthropicOptions) -> Profile:
    """The model's own, changed by the options. A name without a version counts as its family's newest."""
    profile = _by_name(model)
    if options.thinking is not None:
        profile = replace(profile, thinking=options.thinking)
    if options.structured_outputs is not None:
        profile = replace(profile, structured_outputs=options.structured_outputs)
    return profile


def _by_name(model: str) -> Profile:
    found = _NAME.search(model.lower())
    if not found:
        return Profile()
    family = found["family"]
    major, minor = (found[1], found[2]) if found[1] else (found[4], found[5])
    version = (int(major), int(minor or 0)) if major else _NEWEST
    always_thinks = version >= _ALWAYS_THINKS_SINCE.get(family, (100, 0))
    return Profile(
        claude=True,
        thinking="adaptive" if version >= (4, 6) else "budget" if version >= (3, 7) else "none",
        off=None if always_thinks else "between_tools" if family == "sonnet" and version >= (5, 5) else "disabled",
        bound=version >= (5, 1),
        top_effort="xhigh" if version >= (4, 7) else "max",
        sampling=version < (4, 7),
        forced_calls=version < _NO_FORCED_CALLS_SINCE.get(family, (100, 0)),
        late_system=version >= (4, 8) and (family, version) != ("sonnet", (5, 0)),
        structured_outputs=version >= (4, 5) or (family, version) == ("opus", (4, 1)),
        max_tokens=_limit(family, version),
    )


def _limit(family: str, version: Version) -> int:
    """The largest `max_tokens` that the model takes."""
    if version >= (4, 6):
        return 128_000
    if version >= (4, 5) or (version >= (3, 7) and family == "sonnet"):
        return 64_000
    return 32_000 if version >= (4, 0) else 8192 if version >= (3, 5) else 4096
