"""Which targets may serve a request, in which order. A target is one model of one provider: `provider/model`."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from ..core.errors import NotFound, RequestError
from ..core.patterns import allows
from ..core.settings import ProviderSettings
from ..schema.request import CreateResponse, ProviderPreferences
from ..schema.tools import UpstreamTool
from .catalog import Catalog

NOT_CONFIGURED, NOT_SERVED = "its provider is not configured", "its provider does not serve this model"


class Target(NamedTuple):
    """`named` says whether the operator's configuration names it, in an alias or among the provider's models."""

    provider: ProviderSettings
    model: str
    named: bool

    @property
    def name(self) -> str:
        return f"{self.provider.name}/{self.model}"


Skip: TypeAlias = Callable[[str, str], None]
"""(target, why), called for each target that is passed over."""


def unnoticed(target: str, why: str) -> None: ...


async def targets_of(
    request: CreateResponse,
    catalog: Catalog,
    default_provider: str,
    allowed: Sequence[str] = (),
    skip: Skip = unnoticed,
) -> list[Target]:
    """At least one, the first choice first. `allowed` are patterns of models; none allows every model. `skip` is called
    for each target of an alias that can't be asked.

    Raises NotFound if there is no such model, or if it isn't allowed (a client can't tell which), and RequestError for
    preferences that can't be met.
    """
    found = await named(request.model, catalog, default_provider, allowed, skip)
    if not found:
        raise no_such_model(request.model)
    if request.provider is None:
        return found
    return await _preferred(request, request.provider, found, catalog, allowed)


async def named(
    model: str, catalog: Catalog, default_provider: str, allowed: Sequence[str], skip: Skip = unnoticed
) -> list[Target]:
    """The targets that a request for `model` may be served by; none if there is no such model, or it isn't allowed.

    An alias is allowed by its own name, whatever its targets are. Any other name is allowed by what would be asked:
    `gone/small` is a model of the default provider where there is no provider `gone`.
    """
    aliased = await catalog.alias(model)
    if aliased is None:
        target = await _target(model, catalog, default_provider)
        return [target] if target and allows(allowed, target.name) else []
    if not allows(allowed, model):
        return []
    found = list[Target]()
    for name in aliased:
        if target := await _configured(name, catalog):
            found.append(target._replace(named=True))
        else:
            skip(name, NOT_CONFIGURED if await catalog.provider(name.partition("/")[0]) is None else NOT_SERVED)
    return found


def no_such_model(name: str, param: str = "model") -> NotFound:
    return NotFound(f"The model {name!r} does not exist here", param=param, code="model_not_found")


def check_models_of(tools: Iterable[UpstreamTool], targets: Iterable[Target], allowed: Sequence[str]) -> None:
    """Raises NotFound for a tool that would ask a model of the provider's which isn't allowed (`image_generation`)."""
    for tool in tools:
        model = tool.__pydantic_extra__.get("model")
        if isinstance(model, str) and not all(allows(allowed, f"{each.provider.name}/{model}") for each in targets):
            raise no_such_model(model, "tools")


async def _preferred(
    request: CreateResponse,
    preferences: ProviderPreferences,
    found: list[Target],
    catalog: Catalog,
    allowed: Sequence[str],
) -> list[Target]:
    """The targets that the request names come first. Without fallbacks there are no others; if it names none, there is
    only the first. One that isn't among `found` must be allowed by its own name.
    """
    first: list[Target] = []
    aliased = await catalog.alias(request.model) is not None
    for index, name in enumerate(preferences.order or ()):
        chosen = [target for target in found if name in (target.provider.name, target.name)]
        if not chosen:
            wanted = name if "/" in name else "" if aliased else f"{name}/{found[0].model}"
            target = await _configured(wanted, catalog)
            chosen = [target] if target and allows(allowed, target.name) else []
        if not chosen:
            raise RequestError(
                f"{name!r} has no target for this model", param=f"provider.order[{index}]", code="unknown_provider"
            )
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
