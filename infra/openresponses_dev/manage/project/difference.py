"""What has to change, so that a deployment has what a file says: as data, and as lines that show no secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias, cast
from urllib.parse import urlsplit

from pydantic import JsonValue

from openresponses.client_keys import ClientKey
from openresponses_dev.manage.project.entries import SECTIONS, Document, Ends, Id, dotted
from openresponses_dev.manage.project.environment import Place
from openresponses_dev.manage.project.reading import Wanted, Wish
from openresponses_dev.manage.project.state import State, There
from openresponses_dev.manage.providers import without_secrets

Action: TypeAlias = Literal["add", "change", "remove"]
SECRET = "(secret)"
_SIGNS: dict[Action, str] = {"add": "+", "change": "~", "remove": "-"}
_LONGEST = 60
"""Characters of a value in a line."""


@dataclass(frozen=True, slots=True)
class Change:
    """`before` is what is there, unless it is added, and `after` what shall be, unless it is removed. `key` is the key
    that is changed or revoked; `ends` says when a new one does.
    """

    action: Action
    entry: Id
    before: There | None = None
    after: Document | None = None
    hidden: frozenset[Place] = frozenset()
    ends: Ends = Ends()

    @property
    def key(self) -> ClientKey | None:
        return self.before.key if self.before else None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """With `SECRET` in the place of a secret. None is not there."""

    field: str
    before: JsonValue
    after: JsonValue


def difference(
    state: State, wanted: Wanted, now: float, removes: Callable[[Id], bool] = lambda _: True
) -> list[Change]:
    """In the order in which to do it: what is named is set before what names it, and removed after it. An entry that
    the file has not is removed if `removes` says so.
    """
    changes: list[Change] = []
    for entry, wish in wanted.wishes.items():
        there = state.found.get(entry)
        document = _asked(wish, there, now)
        if document is None:  # a key that has ended by now
            if there:
                changes.append(Change("remove", entry, there))
        elif there is None and (document or entry.section != "tenants"):
            changes.append(Change("add", entry, None, document, wish.hidden, wish.ends))
        elif there and there.document != document:
            changes.append(Change("change", entry, there, document, wish.hidden))
    for entry, there in state.found.items():
        if entry not in wanted.wishes and entry not in wanted.left_out and removes(entry):
            changes.append(Change("remove", entry, there))
    for entry, key in state.others:
        if removes(entry):
            changes.append(Change("remove", entry, There(None, key=key)))
    return sorted(changes, key=_turn)


def _turn(change: Change) -> tuple[int, int]:
    place = SECTIONS.index(change.entry.section)
    return (1, -place) if change.action == "remove" else (0, place)


def _asked(wish: Wish, there: There | None, now: float) -> Document | None:
    """None for a key that has ended."""
    ends = wish.ends.of(there.key.created_at if there and there.key else int(now))
    if ends is None:
        return wish.document
    return {**wish.document, "expires": ends} if ends > now else None


def field_changes(change: Change) -> list[FieldChange]:
    """None for what is removed: all of it goes."""
    if change.after is None:
        return []
    there = change.before.document if change.before else {}
    if there is None:
        return [FieldChange("", "not valid", "as in the file")]
    before, after = dict(_leaves(there)), dict(_leaves(change.after))
    return [
        FieldChange(
            dotted(place),
            _shown_before(change, place, before[place]) if place in before else None,
            _shown(change, place, after[place]) if place in after else None,
        )
        for place in {**before, **after}
        if before.get(place) != after.get(place)
    ]


def lines(changes: Iterable[Change]) -> list[str]:
    """For a person."""
    told: list[str] = []
    for change in changes:
        told.append(signed(change))
        for each in field_changes(change):
            sign = "+" if each.before is None else "-" if each.after is None else "~"
            values = " -> ".join(dict.fromkeys(_short(one) for one in (each.before, each.after) if one is not None))
            told.append(f"    {sign} {each.field}: {values}" if each.field else f"    {sign} {values}")
    return told


def signed(change: Change) -> str:
    """Its line."""
    return f"{_SIGNS[change.action]} {title(change)}"


def title(change: Change) -> str:
    entry, key = change.entry, change.key
    of = f" of tenant {entry.tenant}" if entry.tenant and entry.tenant != "default" else ""
    match change.action, entry.section:
        case "remove", "keys":
            assert key is not None
            return f"{entry}{of} ({key.id}): is revoked"
        case "remove", "prompts":
            return f"{entry}{of}: is removed, with all its versions"
        case "remove", "tenants":
            return f"{entry}: has no limits any more"
        case "change", "prompts":
            return f"{entry}{of}: a new version"
        case "add", "keys":
            return f"{entry}{of}: a new key"
        case _:
            return f"{entry}{of}"


def documents(changes: Iterable[Change]) -> list[dict[str, object]]:
    """For a program."""
    return [
        {
            "action": each.action,
            "section": each.entry.section,
            "name": each.entry.name,
            "tenant": each.entry.tenant or None,
            "key_id": each.key.id if each.key else None,
            "fields": [{"field": one.field, "before": one.before, "after": one.after} for one in field_changes(each)],
        }
        for each in changes
    ]


def _leaves(value: JsonValue, place: Place = ()) -> Iterator[tuple[Place, JsonValue]]:
    """An array is one value; so is an empty object."""
    if isinstance(value, dict) and (value or not place):
        for name, each in value.items():
            yield from _leaves(each, (*place, name))
    else:
        yield place, value


def _shown_before(change: Change, place: Place, value: JsonValue) -> JsonValue:
    """Nobody knows what of it came from an environment. Of an address the path may be a secret, too."""
    url = urlsplit(str(value)) if place in (("url",), ("base_url",)) else None
    if url and url.hostname and url.path.strip("/"):
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]} {SECRET}"
    return _shown(change, place, value)


def _shown(change: Change, place: Place, value: JsonValue) -> JsonValue:
    section = change.entry.section
    from_environment = any(_meet(hidden, place) for hidden in change.hidden)
    if from_environment or place in (("api_key",), ("key",)):
        return SECRET
    if place[0] == "headers" and section in ("providers", "mcp"):
        return SECRET
    if place in (("url",), ("base_url",)) and without_secrets(str(value)) != str(value):
        return f"{without_secrets(str(value))} {SECRET}"
    if section == "keys" and place == ("expires",):
        return f"{datetime.fromtimestamp(int(cast('int', value)), UTC):%Y-%m-%d %H:%M}"
    return value


def _meet(one: Place, other: Place) -> bool:
    """Whether one is in the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _short(value: JsonValue) -> str:
    if value == SECRET:
        return SECRET
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
