"""Why there is no such model, and what may be meant. It names nothing that the key may not use.

Imported where a request has failed: few requests need it.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from ..core.patterns import allows
from .catalog import Catalog
from .targets import named

MAX_NAMED = 5
"""Models, or patterns of a key, that a message names."""


async def explained(model: str, catalog: Catalog, default_provider: str, allowed: Sequence[str]) -> str:
    """What a client is told whose request for `model` finds nothing. Raises as `Catalog` does."""
    listed = [each for each in await catalog.listed() if await named(each, catalog, default_provider, allowed)]
    providers = [each for each in await catalog.providers() if _may_name(allowed, each)]
    if allowed and not listed and not providers:
        return f"This key may use {_or_more(allowed)} and nothing else, and none of that is served here"
    if allows(allowed, model) and await catalog.alias(model) is not None:
        return f"No target of {model!r} is configured here"
    head, slash, rest = model.partition("/")
    if not slash:
        return _bare(model, listed, providers)
    if head in providers:
        return f"The model {model!r} does not exist here{_meant(model, listed)}"
    for provider in get_close_matches(head, providers, 1):
        if await named(f"{provider}/{rest}", catalog, default_provider, allowed):
            return f"There is no provider {head!r} here: did you mean '{provider}/{rest}'?"
    said = f"The model {model!r} does not exist here: there is no provider {head!r}"
    return f"{said}. The models here are {_or_more(listed)}" if listed else said


def _bare(model: str, listed: Sequence[str], providers: Sequence[str]) -> str:
    aliases = [each for each in listed if "/" not in each]
    if near := get_close_matches(model, aliases, 1, 0.75):
        return f"The model {model!r} does not exist here: did you mean {near[0]!r}?"
    by_name = {each.partition("/")[2]: each for each in reversed(listed) if "/" in each}
    near = get_close_matches(model, by_name, 1)
    example = by_name[near[0]] if near else next(iter(by_name.values()), "")
    said = f"{model!r} names no provider: say it as provider/model"
    if example:
        return f"{said}, for example {example!r}"
    return f"{said}, for example '{providers[0]}/{model}'" if providers else f"{said}. None is configured here yet"


def _meant(model: str, listed: Sequence[str]) -> str:
    if near := get_close_matches(model, listed, 1):
        return f": did you mean {near[0]!r}?"
    return f": the models here are {_or_more(listed)}" if listed else ""


def _may_name(allowed: Sequence[str], provider: str) -> bool:
    """Whether some model of the provider fits a pattern of the key."""
    for pattern in allowed:
        head, slash, _ = pattern.partition("/")
        if fnmatchcase(provider, head) if slash else "*" in head:
            return True
    return not allowed


def _or_more(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:MAX_NAMED]))
    return f"{shown}, and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else shown
