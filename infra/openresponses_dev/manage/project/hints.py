"""What to tell of a file that is right, where what it says will not work as its writer may expect."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator

from pydantic import JsonValue

from openresponses.entry.settings import OFFLINE, built_in
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.models import unconfigured
from openresponses_dev.manage.offered import Offered, offered_by
from openresponses_dev.manage.problems import meant
from openresponses_dev.manage.project.entries import Id, Section
from openresponses_dev.manage.project.reading import Wanted
from openresponses_dev.manage.provider_options import settings_of
from openresponses_dev.manage.providers import too_near, unreachable


def hints(deployment: Deployment, wanted: Wanted, *, keeps: bool = False) -> list[str]:
    """`keeps`: what is there and not in the file stays. Raises Problem."""
    found = (*_addresses(deployment, wanted), *_names(deployment, wanted, keeps=keeps), *_ended(wanted))
    return [f"{entry}: {text}" for entry, text in found]


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


def _ended(wanted: Wanted) -> Iterator[tuple[Id, str]]:
    for entry, wish in wanted.wishes.items():
        if wish.ends.at is not None and wish.ends.at <= time.time():
            yield entry, "it has ended, so that no key is made: say a later date in expires"


def _names(deployment: Deployment, wanted: Wanted, *, keeps: bool) -> Iterator[tuple[Id, str]]:
    """What aliases and keys name, and nobody serves once it is done."""
    naming = {entry: wish.document for entry, wish in wanted.wishes.items() if entry.section in ("aliases", "keys")}
    if not naming:
        return
    there = _afterwards(offered_by(deployment), wanted, keeps=keeps)
    for entry, document in naming.items():
        for provider in unconfigured(_texts(document.get("targets")), {*there.providers}):
            yield entry, f"no provider {provider} is configured{meant(provider, there.providers)}"
        for what, _ in there.unserved(_texts(document.get("models")), _texts(document.get("mcp"))):
            yield entry, what


def _afterwards(there: Offered, wanted: Wanted, *, keeps: bool) -> Offered:
    """What is built in stays in any case."""
    entries = [*wanted.wishes, *wanted.left_out]

    def names(section: Section, before: Iterable[str]) -> set[str]:
        kept = before if keeps or section not in wanted.sections else ()
        return {*kept, *(each.name for each in entries if each.section == section)}

    built = [each.name for each in built_in(OFFLINE.name) if each.name in there.providers]
    providers = names("providers", there.providers)
    return Offered({*providers, *built}, names("aliases", there.aliases), names("mcp", there.labels))


def _texts(value: JsonValue) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
