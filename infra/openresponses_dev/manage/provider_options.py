"""A provider's document from the options of `providers set`, checked by what the server reads it with."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from getpass import getpass
from typing import Annotated, TypeAlias

from cyclopts import Parameter
from pydantic import JsonValue

from openresponses.core.settings import UNKNOWN_FIELD, BadField, ProviderSettings
from openresponses.dialects import connect, dialects
from openresponses.dialects._shared.vendors import vendor_at
from openresponses.entry.settings import OFFLINE
from openresponses.routing.catalog import NAME, parse_provider
from openresponses.transport.http import base_of
from openresponses_dev.local.address import without_secrets
from openresponses_dev.local.command_line import command
from openresponses_dev.manage.presets import PRESETS, Preset
from openresponses_dev.manage.problems import BadSetting, Problem, nearest, unknown


def read_secret(what: str) -> str:
    """One line: asked for where a person sits, else the next of standard input. Raises Problem."""
    secret = getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not (secret := secret.strip()):
        raise Problem(f"{what} is missing: nothing came on standard input", "pipe it in, or run this in a terminal")
    return secret


def read_headers(names: Sequence[str], of: str) -> dict[str, JsonValue]:
    """The value of each is read. Raises Problem."""
    return {name: read_secret(f"Header {name} of {of}") for name in names}


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


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """What is said of a provider in words."""

    preset: Annotated[str | None, Parameter(metavar="NAME", help="of a well-known provider, where NAME is another")] = (
        None
    )
    dialect: Annotated[str | None, Parameter(metavar="DIALECT", help="the wire that it speaks")] = None
    base_url: Annotated[str | None, Parameter(metavar="URL")] = None
    model: Annotated[tuple[str, ...], Parameter(metavar="MODEL", help="listed by GET /v1/models; repeat it")] = ()
    option: Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE", help="a switch of the dialect")] = ()
    price: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="MODEL=INPUT,OUTPUT[,CACHED[,CACHE_WRITE]]",
            help="your own, in USD for a million tokens; MODEL may have a *",
        ),
    ] = ()
    header: Annotated[tuple[str, ...], Parameter(metavar="NAME", help="its value is read like the key")] = ()
    key: Annotated[
        bool | None,
        Parameter(negative="--no-key", help="whether to read an API key (default: as the preset says)"),
    ] = None
    connect_timeout: Annotated[float | None, Parameter(metavar="SECONDS", help="default: 10")] = None
    first_byte_timeout: Annotated[float | None, Parameter(metavar="SECONDS", help="default: 120")] = None
    idle_timeout: Annotated[float | None, Parameter(metavar="SECONDS", help="default: 60")] = None
    retries: Annotated[int | None, Parameter(metavar="N", help="of a request that it did not begin to answer")] = None
    json: Annotated[bool, Parameter(help="read the whole document from standard input instead")] = False


def document_of(name: str, options: ProviderOptions) -> str:
    """JSON. Reads the secrets, after all that can be checked without them. Raises Problem."""
    if options.json:
        _refuse_others(options)
        document = read_document()
        try:
            settings_of(name, document)
        except BadSetting as bad:
            bad.mend = bad.mend or "correct the document, and pipe it in once more"
            raise
        return document
    try:
        return _document(name, options)
    except BadSetting as bad:
        raise bad.typed(_WORDS, command("providers set --help")) from None


HEADER = ("--header", "--header X-Team, and its value in one line where it is asked for")
API_KEY = ("the API key", "copy it once more, as one word")
_WORDS = {
    "api_key": API_KEY,
    "headers": HEADER,
    "base_url": ("--base-url", "--base-url https://api.example.com/v1"),
    "models": ("--model", "--model MODEL"),
    "options": ("--option", command("providers set --help")),
    "prices": ("--price", "--price MODEL=1.25,10"),
}
"""The options of fields, and what mends them."""


def _document(name: str, options: ProviderOptions) -> str:
    preset = preset_of(name, options.preset, options.dialect)
    document = _without_secrets(preset, options, vendor=options.preset or name)
    settings_of(name, json.dumps({**document, "headers": dict.fromkeys(options.header, "unread")}))
    if preset.key if options.key is None else options.key:
        document["api_key"] = read_secret(f"API key of {name}")
    if options.header:
        document["headers"] = read_headers(options.header, name)
    text = json.dumps(document, ensure_ascii=False)
    settings_of(name, text)
    return text


def settings_of(name: str, document: str) -> ProviderSettings:
    """The provider as the server would connect it. Raises BadSetting, which quotes no secret of the document."""
    of = f"provider {name!r}"
    if not NAME.fullmatch(name):
        raise BadSetting("", (), f"{name!r} is no provider's name: letters, digits, '_', '.' and '-', 64 at most")
    if name == OFFLINE.name:
        raise BadSetting("", (), f"{name} is built in, and stays as it is", "choose another name")
    try:
        settings = parse_provider(name, document)
        _check_dialect(settings.dialect)
        _check_address(settings.dialect, settings.base_url)
        asyncio.run(_connect(settings))
    except ValueError as error:
        known = ", ".join(field.name for field in fields(ProviderSettings) if field.name != "name")
        mend = f"its fields are {known}" if str(error).endswith(UNKNOWN_FIELD) else ""
        raise BadSetting.read(of, error, mend) from None
    return settings


def _refuse_others(options: ProviderOptions) -> None:
    for option in fields(options):
        if option.name != "json" and getattr(options, option.name) != option.default:
            raise Problem(f"--json reads the whole document: --{option.name.replace('_', '-')} would have no effect")


async def _connect(settings: ProviderSettings) -> None:
    await connect(settings).aclose()


def preset_of(name: str, preset: str | None, dialect: str | None) -> Preset:
    """The one that is chosen by its name or by the provider's, with the dialect that is. Raises Problem."""
    chosen = preset or name
    if found := PRESETS.get(chosen):
        return found if dialect in (None, found.dialect) else replace(found, dialect=dialect)
    if preset or not dialect:
        near = nearest(chosen, PRESETS)
        known = f"{f'did you mean {near}? K' if near else 'k'}nown are {', '.join(PRESETS)}"
        mend = f"choose one with --preset, or a dialect with --dialect: {', '.join(dialects())}"
        raise Problem(f"there is no preset {chosen}: {known}", mend)
    return Preset(name, dialect)


def _check_dialect(dialect: str) -> None:
    if dialect not in dialects():
        raise BadField(("dialect",), unknown(dialect, dialects()))


_PATHS = {"chat_completions": "/chat/completions", "openai_responses": "/responses", "anthropic": "/messages"}
"""What a dialect adds to the base URL."""


def _check_address(dialect: str, url: str) -> None:
    """Raises BadField for a base URL that is missing, is none, or ends with what a dialect adds."""
    place, added = ("base_url",), _PATHS.get(dialect)
    if not url and added:
        raise BadField(place, f"the dialect {dialect} needs the provider's address, such as https://api.example.com/v1")
    try:
        if url:
            base_of(url)
    except ValueError:
        raise BadField(place, "must be an http or https URL, such as https://api.example.com/v1") from None
    shown = without_secrets(url).rstrip("/")
    if added and (twice := next((path for path in _PATHS.values() if shown.endswith(path)), "")):
        why = f"the dialect {dialect} adds {added} itself"
        raise BadField(place, f"{why}: did you mean {shown.removesuffix(twice)}?")


def _without_secrets(preset: Preset, options: ProviderOptions, vendor: str) -> Document:
    given: Document = {
        "base_url": options.base_url,
        "models": list(options.model),
        "options": dict(map(_option, options.option)),
        **{timeout: getattr(options, timeout) for timeout in _TIMEOUTS},
        "retries": options.retries,
        "prices": dict(map(_price, options.price)),
    }
    return completed(given, preset, vendor)


def completed(given: Document, preset: Preset, vendor: str) -> Document:
    """What is given, and what the preset says besides. The vendor is said where the address doesn't tell it."""
    base_url = str(given.get("base_url") or preset.base_url)
    untold = vendor in PRESETS and base_url and vendor_at(base_url) != vendor
    options = given.get("options")
    document: Document = {
        **given,
        "dialect": preset.dialect,
        "base_url": base_url,
        "options": {**({"vendor": vendor} if untold else {}), **(options if isinstance(options, dict) else {})},
    }
    return {field: value for field, value in document.items() if value not in (None, "", [], {})}


def _option(word: str) -> tuple[str, JsonValue]:
    """`name=value`; the value is JSON where it can be read so, and else a text."""
    name, equals, text = word.partition("=")
    if not name or not equals:
        raise Problem(f"--option {word}: not NAME=VALUE")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


_PARTS = ("input", "output", "cached", "cache_write")


def _price(word: str) -> tuple[str, JsonValue]:
    """The amounts are checked as those of a document are."""
    model, _, text = word.rpartition("=")
    amounts = text.split(",")
    if not model or not 2 <= len(amounts) <= len(_PARTS):
        raise Problem(f"--price {word}: not MODEL=INPUT,OUTPUT[,CACHED[,CACHE_WRITE]]")
    return model, {part: amount.strip() for part, amount in zip(_PARTS, amounts, strict=False)}
