"""Which targets may serve a request, in which order. A target is one model of one provider: `provider/model`."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..core.errors import NotFound, RequestError
from ..core.settings import ProviderSettings
from ..schema.request import CreateResponse, ProviderPreferences
from .catalog import OFFLINE, Catalog


class Target(NamedTuple):
    """`named`: the operator's configuration names it, in an alias or among the provider's models."""

    provider: ProviderSettings
    model: str
    named: bool

    @property
    def name(self) -> str:
        return f"{self.provider.name}/{self.model}"


async def targets_of(
    request: CreateResponse, catalog: Catalog, default_provider: str, allowed: Sequence[str] = ()
) -> list[Target]:
    """At least one. `allowed` are patterns of models; none allows every model.

    Raises NotFound where there is no such model, or it isn't allowed (the two look the same), RequestError for
    preferences that can't be met.
    """
    aliased = await catalog.alias(request.model)
    if aliased is None:
        target = await _target(request.model, catalog, default_provider)
        found = [target] if target else []
        permitted = allows(allowed, request.model) or all(allows(allowed, each.name) for each in found)
    else:
        found = [target._replace(named=True) for name in aliased if (target := await _configured(name, catalog))]
        permitted = allows(allowed, request.model)
    if not found or not permitted:
        raise NotFound(f"The model {request.model!r} does not exist here", param="model", code="model_not_found")
    if request.provider is None:
        return found
    return await _preferred(request.provider, found, catalog, allowed, aliased=aliased is not None)


def allows(allowed: Sequence[str], model: str) -> bool:
    return not allowed or any(fnmatchcase(model, pattern) for pattern in allowed)


async def _preferred(
    preferences: ProviderPreferences, found: list[Target], catalog: Catalog, allowed: Sequence[str], *, aliased: bool
) -> list[Target]:
    """Those that the request names come first; without fallbacks they, or the first target, are all there is."""
    first: list[Target] = []
    for index, name in enumerate(preferences.order or ()):
        chosen = [target for target in found if name in (target.provider.name, target.name)]
        if not chosen:
            wanted = name if "/" in name else None if aliased else f"{name}/{found[0].model}"
            target = await _configured(wanted, catalog) if wanted else None
            if target is None or not allows(allowed, target.name):
                raise RequestError(
                    f"{name!r} has no target for this model", param=f"provider.order[{index}]", code="unknown_provider"
                )
            chosen = [target]
        first += [target for target in chosen if target not in first]
    if not preferences.allow_fallbacks:
        return first or found[:1]
    return [*first, *(target for target in found if target not in first)]


async def _target(model: str, catalog: Catalog, default_provider: str) -> Target | None:
    """`provider/model`, or else a model of the default provider, whatever slashes its name has."""
    if target := await _configured(model, catalog):
        return target
    head = model.partition("/")[0]
    if "/" in model and await catalog.provider(head):
        return None
    provider = await catalog.provider(default_provider)
    return _of(provider, model)


async def _configured(name: str, catalog: Catalog) -> Target | None:
    head, _, model = name.partition("/")
    provider = await catalog.provider(head) if model else None
    return _of(provider, model)


def _of(provider: ProviderSettings | None, model: str) -> Target | None:
    """A provider is asked for any model, listed or not; the offline one has what it lists."""
    if provider is None or (provider.dialect == OFFLINE.dialect and model not in provider.models):
        return None
    return Target(provider, model, named=model in provider.models)
