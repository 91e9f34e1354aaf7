"""`openresponses models`: aliases, each of which stands for targets in order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from openresponses.entry.settings import built_in
from openresponses.routing.catalog import NAME, parse_alias
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import BadSetting, Problem, meant, nearest, warn


def set_alias(
    alias: str,
    /,
    *targets: Annotated[str, Parameter(required=True, help="provider/model")],
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    document = json.dumps({"targets": targets})
    targets_of(alias, document)
    parameters.write(deployment, "models", alias, document)
    say(f"{alias} is {', then '.join(targets)} {deployment.soon}")
    configured = provider_names(deployment)
    for provider in unconfigured(targets, configured):
        near = f"did you mean {found}? Otherwise " if (found := nearest(provider, configured)) else ""
        warn(f"the provider {provider} is not configured: {near}{deployment.command(f'providers set {provider}')}")
    return 0


def list_models(*, as_json: AsJson = False, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    configured = provider_names(deployment)
    found = parameters.read_all(deployment, "models")
    rows = [(each.name, _shown(each, configured)) for each in found]
    show([_document(each, configured) for each in found], ("ALIAS", "TARGETS"), rows, as_json=as_json)
    return 0


def remove_alias(alias: str, /, *, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    if not parameters.delete(deployment, "models", alias):
        near = meant(alias, [each.name for each in parameters.read_all(deployment, "models")])
        raise Problem(f"there is no alias {alias} in {deployment.title}{near}", deployment.command("models list"))
    say(f"{alias} is removed {deployment.soon}")
    return 0


def targets_of(alias: str, document: str) -> list[str]:
    """Raises BadSetting."""
    if not NAME.fullmatch(alias):
        raise BadSetting("", (), f"{alias!r} is no alias: letters, digits, '_', '.' and '-', 64 at most")
    try:
        return parse_alias(document)
    except ValueError as error:
        raise BadSetting.read(f"alias {alias!r}", error, "name targets as provider/model") from None


def provider_names(deployment: Deployment) -> set[str]:
    """Those that requests can name, whether or not they work. Raises Problem."""
    built = built_in(deployment.default_provider)
    return {each.name for each in (*built, *parameters.read_all(deployment, "providers"))}


def unconfigured(targets: Iterable[str], configured: set[str]) -> list[str]:
    """The providers of these targets that aren't there."""
    return sorted({target.partition("/")[0] for target in targets} - configured)


def naming(aliases: Iterable[parameters.Parameter], provider: str) -> dict[str, list[str]]:
    """The aliases that have a target of this provider, and their targets. Those that can't be read name nothing."""
    found: dict[str, list[str]] = {}
    for each in aliases:
        try:
            targets = targets_of(each.name, each.text)
        except Problem:
            continue
        if any(target.startswith(f"{provider}/") for target in targets):
            found[each.name] = targets
    return found


def _document(alias: parameters.Parameter, configured: set[str]) -> dict[str, object]:
    try:
        targets = targets_of(alias.name, alias.text)
    except Problem as problem:
        return {"alias": alias.name, "targets": [], "unconfigured": [], "error": str(problem)}
    missing = unconfigured(targets, configured)
    return {"alias": alias.name, "targets": targets, "unconfigured": missing, "error": None}


def _shown(alias: parameters.Parameter, configured: set[str]) -> str:
    try:
        targets = targets_of(alias.name, alias.text)
    except Problem as problem:
        return str(problem)
    missing = "".join(f"  (no provider {each})" for each in unconfigured(targets, configured))
    return ", then ".join(targets) + missing
