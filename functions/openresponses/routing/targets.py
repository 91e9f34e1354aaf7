"""Which targets may serve a request, in which order. A target is one model of one provider: `provider/model`."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..core.errors import NotFound, RequestError
from ..core.settings import ProviderSettings
from ..schema.request import CreateResponse, ProviderPreferences
from .catalog import Catalog


class Target(NamedTuple):
    """`named` says whether the operator's configuration names it, in an alias or among the provider's models."""

    provider: ProviderSettings
    model: str
    named: bool

    @property
    def name(self) -> str:
        return f"{self.provider.name}/{self.model}"


async def targets_of(
    request: CreateResponse, catalog: Catalog, default_provider: str, allowed: Sequence[str] = ()
) -> list[Target]:
    """At least one, the first choice first. `allowed` are patterns of models; none allows every model.

    Raises NotFound if there is no such model, or if it isn't allowed (a client can't tell which), and RequestError for
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
    """The targets that the request names come first. Without fallbacks there are no others; if it names none, there is
    only the first.
    """
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
    """`provider/model`, or else a model of the default provider, which may have slashes in its name."""
    if target := await _configured(model, catalog):
        return target
    head = model.partition("/")[0]
    if "/" in model and await catalog.provider(head):
        return None
    return await _configured(f"{default_provider}/{model}", catalog)


async def _configured(name: str, catalog: Catalog) -> Target | None:
    head, _, model = name.partition("/")
    provider = await catalog.provider(head) if model else None
    if provider is None or not catalog.serves(provider, model):
        return None
    return Target(provider, model, named=model in provider.models)
