"""A provider's document from the options of `providers set`, checked by what the server reads it with."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import fields, replace
from getpass import getpass
from typing import TypeAlias

from pydantic import JsonValue

from openresponses.core.settings import ProviderSettings
from openresponses.dialects import connect, dialects
from openresponses.routing.catalog import NAME, OFFLINE, parse_provider
from openresponses_dev.manage.presets import PRESETS, Preset
from openresponses_dev.manage.problems import Problem


def read_secret(what: str) -> str:
    """One line: asked for where a person sits, else the next of standard input. Raises Problem."""
    secret = getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not (secret := secret.strip()):
        raise Problem(f"{what} is missing: nothing came on standard input", "pipe it in, or run this in a terminal")
    return secret


def read_document() -> str:
    """All of standard input. Raises Problem."""
    if sys.stdin.isatty():
        print("The document, then Ctrl-D:", file=sys.stderr)
    text = sys.stdin.read()
    if not text.strip():
        raise Problem("nothing came on standard input", "pipe a JSON document in")
    return text


Document: TypeAlias = dict[str, JsonValue]
_TIMEOUTS = ("connect_timeout", "first_byte_timeout", "idle_timeout")
_OF_THE_DOCUMENT = ("preset", "dialect", "base_url", "model", "option", "header", "key", *_TIMEOUTS, "retries")


def document_of(arguments: argparse.Namespace) -> str:
    """JSON. Reads the secrets, after all that can be checked without them. Raises Problem."""
    name: str = arguments.name
    if arguments.json:
        _refuse_others(arguments)
        document = read_document()
        settings_of(name, document)
        return document
    preset = _preset(name, arguments)
    document = _without_secrets(preset, arguments)
    settings_of(name, json.dumps(document))
    if preset.key if arguments.key is None else arguments.key:
        document["api_key"] = read_secret(f"API key of {name}")
    if arguments.header:
        document["headers"] = {header: read_secret(f"Header {header} of {name}") for header in arguments.header}
    text = json.dumps(document, ensure_ascii=False)
    settings_of(name, text)
    return text


def settings_of(name: str, document: str) -> ProviderSettings:
    """The provider as the server would connect it. Raises Problem, which quotes no value of the document."""
    if not NAME.fullmatch(name):
        raise Problem(f"{name!r} is no provider's name: letters, digits, '_', '.' and '-', 64 at most")
    if name == OFFLINE.name:
        raise Problem(f"{name} is built in, and stays as it is", "choose another name")
    try:
        settings = parse_provider(name, document)
    except ValueError as error:
        known = ", ".join(field.name for field in fields(ProviderSettings) if field.name != "name")
        raise Problem(f"provider {name!r}: {error}", f"its fields are {known}") from None
    try:
        asyncio.run(_connect(settings))
    except ValueError as error:
        raise Problem(str(error)) from None
    return settings


def _refuse_others(arguments: argparse.Namespace) -> None:
    for option in _OF_THE_DOCUMENT:
        if getattr(arguments, option) not in (None, []):
            raise Problem(f"--json reads the whole document: --{option.replace('_', '-')} would have no effect")


async def _connect(settings: ProviderSettings) -> None:
    await connect(settings).aclose()


def _preset(name: str, arguments: argparse.Namespace) -> Preset:
    chosen = arguments.preset or name
    if preset := PRESETS.get(chosen):
        if arguments.dialect in (None, preset.dialect):
            return preset
        return replace(preset, dialect=arguments.dialect, options={})  # which are of its own dialect
    if arguments.preset or not arguments.dialect:
        known = f"known are {', '.join(PRESETS)}"
        mend = f"choose one with --preset, or a dialect with --dialect: {', '.join(dialects())}"
        raise Problem(f"there is no preset {chosen}: {known}", mend)
    return Preset(name, arguments.dialect)


def _without_secrets(preset: Preset, arguments: argparse.Namespace) -> Document:
    given: Document = {
        "dialect": preset.dialect,
        "base_url": arguments.base_url or preset.base_url,
        "models": list(arguments.model),
        "options": {**preset.options, **dict(map(_option, arguments.option))},
        **{timeout: getattr(arguments, timeout) for timeout in _TIMEOUTS},
        "retries": arguments.retries,
    }
    return {field: value for field, value in given.items() if value not in (None, "", [], {})}


def _option(word: str) -> tuple[str, JsonValue]:
    """`name=value`; the value is JSON where it can be read so, and else a text."""
    name, equals, text = word.partition("=")
    if not name or not equals:
        raise Problem(f"--option {word}: not NAME=VALUE")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text
