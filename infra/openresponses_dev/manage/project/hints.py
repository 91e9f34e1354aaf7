"""What to tell of a file that is right, where what it says will not work as its writer may expect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from pydantic import JsonValue

from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.models import provider_names, unconfigured
from openresponses_dev.manage.problems import nearest
from openresponses_dev.manage.project.entries import Id
from openresponses_dev.manage.project.reading import Wanted
from openresponses_dev.manage.provider_options import settings_of
from openresponses_dev.manage.providers import too_near, unreachable

_WILD = {*"*?["}
"""What makes a pattern of a name: `core.patterns`."""


def hints(deployment: Deployment, wanted: Wanted) -> list[str]:
    """Raises Problem."""
    return [f"{entry}: {text}" for entry, text in (*_addresses(deployment, wanted), *_names(deployment, wanted))]


def _addresses(deployment: Deployment, wanted: Wanted) -> Iterator[tuple[Id, str]]:
    """Those that the functions cannot reach."""
    for entry, wish in wanted.wishes.items():
        match entry.section:
            case "providers":
                text = unreachable(deployment, settings_of(entry.name, json.dumps(wish.document)))
            case "mcp" | "tools":
                text = too_near(deployment, str(wish.document.get("url") or wish.document.get("base_url") or ""))
            case _:
                continue
        if text:
            yield entry, text


def _names(deployment: Deployment, wanted: Wanted) -> Iterator[tuple[Id, str]]:
    """Providers and aliases that something names, and that are not there once it is done."""
    naming = {entry: wish for entry, wish in wanted.wishes.items() if entry.section in ("aliases", "keys")}
    if not naming:
        return
    entries = [*wanted.wishes, *wanted.left_out]
    providers = provider_names(deployment) | {each.name for each in entries if each.section == "providers"}
    aliases = {each.name for each in entries if each.section == "aliases"}
    if "aliases" not in wanted.sections:
        aliases |= {each.name for each in parameters.read_all(deployment, "models")}
    for entry, wish in naming.items():
        if entry.section == "aliases":
            for provider in unconfigured(_texts(wish.document["targets"]), providers):
                yield entry, f"the provider {provider} is not configured{_meant(provider, providers)}"
            continue
        for pattern in _texts(wish.document.get("models", [])):
            provider, slash, _ = pattern.partition("/")
            if _WILD & {*provider}:
                continue  # it may fit anything
            if slash and provider not in providers:
                told = f"it may use {pattern}, and the provider {provider} is not configured"
                yield entry, told + _meant(provider, providers)
            elif not slash and provider not in aliases:
                yield entry, f"it may use {pattern}, and there is no such alias{_meant(pattern, aliases)}"


def _meant(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def _texts(value: JsonValue) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
