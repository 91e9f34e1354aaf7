"""`openresponses providers`: who answers, and with which key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from cyclopts import Parameter

from openresponses.core.settings import ProviderSettings
from openresponses.entry.settings import built_in
from openresponses_dev.local.address import without_secrets
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.models import naming, provider_names
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.presets import PRESETS
from openresponses_dev.manage.problems import Problem, meant, nearest, warn
from openresponses_dev.manage.provider_options import ProviderOptions, document_of, preset_of, settings_of
from openresponses_dev.manage.trial import attempt


def show_presets(*, as_json: AsJson = False) -> int:
    rows = [
        (name, each.title, each.dialect, each.base_url or "-", "yes" if each.key else "no", each.note)
        for name, each in PRESETS.items()
    ]
    data = [
        {
            "name": name,
            "title": each.title,
            "dialect": each.dialect,
            "base_url": each.base_url or None,
            "key": each.key,
            "model": each.model or None,
            "note": each.note or None,
        }
        for name, each in PRESETS.items()
    ]
    show(data, ("NAME", "FOR", "DIALECT", "BASE URL", "KEY", "NOTE"), rows, as_json=as_json)
    return 0


def set_provider(
    name: Annotated[str, Parameter(help="how models name it, NAME/model; a preset's name needs no more")],
    /,
    *,
    options: ProviderOptions = ProviderOptions(),
    where: Where = Where(),
) -> int:
    if not options.json:
        preset_of(name, options.preset, options.dialect)  # first of all: a misspelt name needs no deployment to be told
    deployment = deployment_at(where)
    document = document_of(name, options)
    parameters.write(deployment, "providers", name, document)
    say(f"{name} is set {deployment.soon}")
    settings = settings_of(name, document)
    for warning in (unreachable(deployment, settings), odd_address(settings)):
        if warning:
            warn(warning)
    model = "" if settings.models or _everybodys_model(settings) else " --model MODEL"
    say(f"try it:  {deployment.command(f'providers test {name}{model}')}")
    return 0


def list_providers(*, as_json: AsJson = False, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    data = [*map(_document, built_in(deployment.default_provider))]
    data += [_stored(each) for each in parameters.read_all(deployment, "providers")]
    show(data, ("NAME", "DIALECT", "BASE URL", "KEY", "MODELS LISTED"), map(_row, data), as_json=as_json)
    return 0


def try_provider(
    name: str,
    /,
    *,
    model: Annotated[
        str, Parameter(metavar="MODEL", help="the provider's own name of it (default: one that is known)")
    ] = "",
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    settings = stored_settings(deployment, name)
    model = model or model_to_try(deployment, settings)
    if not model:
        mend = deployment.command(f"providers test {settings.name} --model MODEL")
        raise Problem(f"no model of {settings.name} is known", mend)
    trial = asyncio.run(attempt(settings, model, again=deployment.command(f"providers set {settings.name}")))
    if trial.error:
        raise Problem(f"{settings.name}/{model}: {trial.error}", trial.mend)
    said = f'"{trial.words}"' if trial.words else "nothing that is shown (it thought until its limit)"
    say(f"{settings.name}/{model} answered after {trial.first:.2f} s, in {trial.total:.2f} s: {said}")
    return 0


def remove_provider(name: str, /, *, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    if not parameters.delete(deployment, "providers", name):
        near = meant(name, [each.name for each in parameters.read_all(deployment, "providers")])
        raise Problem(f"there is no provider {name} in {deployment.title}{near}", deployment.command("providers list"))
    say(f"{name} is removed {deployment.soon}")
    if name == deployment.default_provider:
        warn(f"{name} is the default provider: model names without a provider are not found now")
    for alias in naming(parameters.read_all(deployment, "models"), name):
        warn(f"the alias {alias} still names it: {deployment.command(f'models alias {alias} TARGET...')}")
    return 0


def stored_settings(deployment: Deployment, name: str) -> ProviderSettings:
    """Raises Problem."""
    for built in built_in(deployment.default_provider):
        if name == built.name:
            return built
    found = parameters.read(deployment, "providers", name)
    if found is None:
        near = nearest(name, provider_names(deployment))
        mend = "providers list" if near or name not in PRESETS else f"providers set {name}"
        asked = f": did you mean {near}?" if near else ""
        raise Problem(f"there is no provider {name} in {deployment.title}{asked}", deployment.command(mend))
    return settings_of(name, found.text)


def model_to_try(deployment: Deployment, settings: ProviderSettings) -> str:
    """One that the configuration names, or that everybody has; empty where none is known. Raises Problem."""
    return next(iter(named_models(deployment, settings)), _everybodys_model(settings))


def named_models(deployment: Deployment, settings: ProviderSettings) -> list[str]:
    """The models of it that the configuration names, by the provider's own names for them. Raises Problem."""
    prefix = f"{settings.name}/"
    aliases = parameters.read_all(deployment, "models")
    targets = (target for alias in naming(aliases, settings.name).values() for target in alias)
    aliased = (each.removeprefix(prefix) for each in targets if each.startswith(prefix))
    return list(dict.fromkeys((*settings.models, *aliased)))


def unreachable(deployment: Deployment, settings: ProviderSettings) -> str:
    """Why the functions won't reach it, although this machine may; empty if nothing speaks against it."""
    if deployment.local and settings.dialect == "bedrock" and not settings.api_key:
        return "the local cloud's functions have no AWS credentials: give them a Bedrock API key, with --key"
    return too_near(deployment, settings.base_url)


def too_near(deployment: Deployment, url: str) -> str:
    """Why functions on AWS won't reach an address that is near this machine; empty if nothing speaks against it."""
    host = urlsplit(url).hostname or ""
    if not deployment.local and (host == "localhost" or _private(host)):
        return f"{without_secrets(url)} is on this machine or network: functions on AWS can't reach it"
    return ""


def odd_address(settings: ProviderSettings) -> str:
    """Why no model may be at a base URL; empty if nothing speaks against it."""
    url = urlsplit(settings.base_url)
    presets = (urlsplit(each.base_url) for each in PRESETS.values() if each.dialect == settings.dialect)
    path = next((each.path for each in presets if each.hostname == url.hostname), "")
    if path and url.path.rstrip("/") != path and not url.path.strip("/"):
        return f"{without_secrets(settings.base_url)} has no {path}: did you mean {url.scheme}://{url.netloc}{path}?"
    return ""


def _private(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


def _everybodys_model(settings: ProviderSettings) -> str:
    """Empty where none is known."""
    return next((each.model for each in PRESETS.values() if each.model and each.base_url == settings.base_url), "")


def _stored(found: parameters.Parameter) -> dict[str, object]:
    try:
        return _document(settings_of(found.name, found.text))
    except Problem as problem:
        nothing = dict.fromkeys(("dialect", "base_url", "key"))
        return {"name": found.name, **nothing, "models": [], "error": str(problem)}


def _document(settings: ProviderSettings) -> dict[str, object]:
    """`key` says whether it has one."""
    return {
        "name": settings.name,
        "dialect": settings.dialect,
        "base_url": address_of(settings) or None,
        "key": bool(settings.api_key),
        "models": list(settings.models),
        "error": None,
    }


def _row(each: Mapping[str, Any]) -> tuple[str, ...]:
    key = {True: "yes", False: "no", None: "-"}[each["key"]]
    models = each["error"] or ", ".join(each["models"]) or "-"
    return each["name"], each["dialect"] or "-", each["base_url"] or "-", key, models


def address_of(settings: ProviderSettings) -> str:
    return without_secrets(settings.base_url)
