"""Reads `openresponses.toml`: what a deployment shall have, or all that is wrong with the file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from pydantic import BaseModel, ValidationError

from openresponses_dev.local.command_line import command
from openresponses_dev.manage.problems import Problem, nearest
from openresponses_dev.manage.project import sections
from openresponses_dev.manage.project.document import (
    CREDENTIAL,
    DEFAULT_TENANT,
    Document,
    FunctionTool,
    Key,
    McpServer,
    Price,
    Prompt,
    Provider,
    TenantLimits,
    Tools,
    WebSearch,
)
from openresponses_dev.manage.project.entries import SECTIONS, Ends, Id, Section, dotted
from openresponses_dev.manage.project.entries import Document as EntryDocument
from openresponses_dev.manage.project.environment import Filling, Place, refers

_TENANTED = ("prompts", "keys")
_Tree: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry as the file has it. What is in the `hidden` places is not shown: it came from the environment. Of a key,
    `ends` says when it ends.
    """

    document: EntryDocument
    hidden: frozenset[Place] = frozenset()
    ends: Ends = Ends()


@dataclass(frozen=True, slots=True)
class Wanted:
    """`sections` are those that the file has. `left_out` are entries whose variables are missing, and which ones
    those are: none, unless that was asked for.
    """

    sections: frozenset[Section]
    wishes: dict[Id, Wish]
    left_out: dict[Id, str] = field(default_factory=dict[Id, str])


def read_file(file: Path, variables: Mapping[str, str], now: float, *, leave_out: bool = False) -> Wanted:
    """With `leave_out`, an entry whose variable is missing is left out; otherwise that is wrong. Raises Problem, which
    tells all that is wrong.
    """
    tree = _tree(file)
    reader = _Reader(file.parent, variables, now, leave_out=leave_out)
    wanted = reader.read(tree)
    if reader.wrong:
        places = {place: number for number, place in enumerate(_places(tree))}
        wrong = sorted(reader.wrong, key=lambda each: places.get(each[0][:2], len(places)))
        told = [f"{dotted(place) or file.name}: {text}" for place, text in wrong]
        if len(told) == 1:
            raise Problem(f"{file.name}: {told[0]}")
        raise Problem(f"{file.name}: {len(told)} mistakes", details=told)
    return wanted


def _tree(file: Path) -> _Tree:
    """Raises Problem."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise Problem(f"there is no file {file}", command("init DIR")) from None
    except OSError as error:
        raise Problem(f"{file.name}: {error.strerror}", "name the project's file, openresponses.toml") from None
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Problem(f"{file.name}: it is not UTF-8 (at line {line})", "save it as UTF-8") from None
    except ValueError as error:  # with line and column
        raise Problem(f"{file.name}: {error}") from None


_WORDS = {
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "list_type": 'must be an array, such as ["one", "two"]',
    "string_type": "must be a text, in quotes",
}
"""What TOML calls what pydantic says of Python."""


class _Reader:
    def __init__(self, folder: Path, variables: Mapping[str, str], now: float, *, leave_out: bool) -> None:
        self._folder, self._now, self._leave_out = folder, now, leave_out
        self._filling = Filling(variables)
        self.wrong: list[tuple[Place, str]] = []

    def read(self, tree: _Tree) -> Wanted:
        filled = cast("_Tree", self._filling.filled(tree))
        document = self._valid(filled)
        self._refuse_literals(tree)
        missing: dict[Place, list[str]] = {}
        for place, why in self._filling.wrong.items():
            missing.setdefault(place[:2], []).append(why)
        if not self._leave_out:
            self.wrong += self._filling.wrong.items()
        wanted = Wanted(frozenset(each for each in SECTIONS if each in tree), {})
        for section, name, table in _entries(document):
            tenant = str(getattr(table, "tenant", DEFAULT_TENANT)) if section in _TENANTED else ""
            entry = Id(section, name, tenant)
            wish = self._wish(entry, table)
            if lacking := missing.get((section, name)):
                wanted.left_out[entry] = "; ".join(dict.fromkeys(lacking))
            elif wish:
                wanted.wishes[entry] = wish
        return wanted

    def _valid(self, tree: _Tree) -> Document:
        """Without the entries that have not the shape of one: what is wrong with those is noted."""
        try:
            return Document.model_validate(tree)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False, include_context=False)
            places = [self._shape(each["type"], each["loc"], each["msg"]) for each in errors]
        rest: _Tree = {}
        for section, entries in tree.items():
            if any(place == (section,) for place in places):
                continue
            known = cast("_Tree", entries)
            rest[section] = {name: each for name, each in known.items() if not _within(places, (section, name))}
        return Document.model_validate(rest)

    def _shape(self, kind: str, place: Place, text: str) -> Place:
        if place not in self._filling.wrong or kind == "extra_forbidden":
            if kind == "extra_forbidden":
                near = nearest(str(place[-1]), _fields_at(place[:-1]))
                what = "section" if len(place) == 1 else "field"
                text = f"there is no such {what}" + (f"; did you mean {near}?" if near else "")
            elif kind == "missing":
                text = "is missing"
            text = _WORDS.get(kind, text)
            self.wrong.append((place, text.removeprefix("Value error, ")))
        return place

    def _refuse_literals(self, tree: _Tree) -> None:
        """Secrets that are in the file itself. No word of them is told."""
        for place, text in _texts(tree):
            match place:
                case ("providers", _, "api_key") | ("tools", "web_search", "key"):
                    variable = "API_KEY"
                case ("providers" | "mcp", _, "headers", str() as header) if CREDENTIAL.search(header):
                    place, variable = (*place[:-1], header.partition(":")[0]), "TOKEN"  # its value may be in its name
                case _:
                    continue
            if not refers(text):
                self.wrong.append(
                    (place, f'a secret is not kept in this file: put it into the environment, and say "${variable}"')
                )

    def _wish(self, entry: Id, table: object) -> Wish | None:
        """None if something is wrong with it, which is noted."""
        before = len(self.wrong)

        def wrong(place: Place, text: str) -> None:
            whole = (entry.section, entry.name, *place)
            if whole not in self._filling.wrong:  # its text is not there
                self.wrong.append((whole, text))

        ends = Ends()
        match table:
            case Provider():
                document = sections.provider(entry.name, table, wrong)
            case McpServer():
                document = sections.server(entry.name, table, wrong)
            case FunctionTool() | WebSearch():
                document = sections.tool(entry.name, table, wrong)
            case Prompt():
                document = sections.prompt(entry.name, table, self._folder, wrong)
            case Key():
                document, ends = sections.key(entry.name, table, self._now, wrong)
            case TenantLimits():
                document = sections.tenant(entry.name, table, wrong)
            case _:
                document = sections.alias(entry.name, cast("list[str]", table), wrong)
        if document is None or len(self.wrong) > before:
            return None
        inside = ((place[0:2], place[2:]) for place in self._filling.referring)
        hidden = frozenset(rest for head, rest in inside if head == (entry.section, entry.name))
        return Wish(document, hidden, ends)


def _entries(document: Document) -> Iterator[tuple[Section, str, object]]:
    for section in SECTIONS:
        found: object = getattr(document, section)
        if isinstance(found, Tools):
            if found.web_search is not None:
                yield section, "web_search", found.web_search
            entries = cast("dict[str, object]", found.functions())
        else:
            entries = cast("dict[str, object]", found or {})
        for name, table in entries.items():
            yield section, name, table


def _places(tree: _Tree) -> Iterator[Place]:
    """The sections and entries, in the file's order."""
    for section, entries in tree.items():
        yield (section,)
        if isinstance(entries, dict):
            yield from ((section, name) for name in cast("_Tree", entries))


def _texts(value: object, place: Place = ()) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, each in cast("_Tree", value).items():
            yield from _texts(each, (*place, name))


def _within(places: list[Place], entry: Place) -> bool:
    return any(place[: len(entry)] == entry for place in places)


def _fields_at(place: Place) -> list[str]:
    """The names that a table there may have."""
    match place:
        case ():
            return [*Document.model_fields]
        case ("tools", "web_search"):
            kind: type[BaseModel] = WebSearch
        case ("providers", _, "prices", _):
            kind = Price
        case (section, _) if section in _KINDS:
            kind = _KINDS[str(section)]
        case _:
            return []
    return [*kind.model_fields]


_KINDS: dict[str, type[BaseModel]] = {
    "providers": Provider,
    "mcp": McpServer,
    "tools": FunctionTool,
    "prompts": Prompt,
    "keys": Key,
    "tenants": TenantLimits,
}
