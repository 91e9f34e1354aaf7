"""From a table of the file to what is written: checked by the code that the commands and the functions use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, JsonValue

from openresponses.client_keys import check_tenant, make, new_token
from openresponses.core.prompts import NAME as PROMPT_NAME
from openresponses.core.storage import MAX_RUNNING, Limits
from openresponses_dev.manage import parameters
from openresponses_dev.manage.keys import seconds_of
from openresponses_dev.manage.limits import count_of, pico_of
from openresponses_dev.manage.mcp import server_of
from openresponses_dev.manage.models import targets_of
from openresponses_dev.manage.presets import PRESETS
from openresponses_dev.manage.problems import BadSetting, Problem, nearest
from openresponses_dev.manage.project.document import (
    FunctionTool,
    Key,
    McpServer,
    Prompt,
    Provider,
    TenantLimits,
    WebSearch,
)
from openresponses_dev.manage.project.entries import (
    Document,
    Ends,
    limits_document,
    prompt_document,
    provider_document,
    server_document,
    tool_document,
)
from openresponses_dev.manage.project.environment import Place
from openresponses_dev.manage.prompts import prompt_of, read_prompt
from openresponses_dev.manage.provider_options import completed, preset_of, settings_of
from openresponses_dev.manage.tools import configured, function_of

Wrong: TypeAlias = Callable[[Place, str], None]
"""Told what is wrong, and where below the entry's own place."""


def provider(name: str, table: Provider, wrong: Wrong) -> Document | None:
    if table.preset is None and table.dialect is None and name not in PRESETS:
        near = nearest(name, PRESETS)
        hint = f" (did you mean providers.{near}?)" if near else ""
        wrong((), f"no preset has this name{hint}: say preset or dialect")
        return None
    chosen = preset_of(name, table.preset, table.dialect)
    given, vendor = _said(table, "preset"), table.preset or name
    if vendor in PRESETS and chosen.key and not {"api_key", "headers", "base_url"} & given.keys():
        variable = re.sub(r"[^A-Z0-9]", "_", vendor.upper())
        wrong(("api_key",), f'is missing: {chosen.title} wants one, such as api_key = "${variable}_API_KEY"')
        return None
    return _read(lambda text: provider_document(settings_of(name, text)), completed(given, chosen, vendor), wrong)


def server(label: str, table: McpServer, wrong: Wrong) -> Document | None:
    return _read(lambda text: server_document(server_of(label, text)), _said(table), wrong)


def tool(name: str, table: FunctionTool | WebSearch, wrong: Wrong) -> Document | None:
    search = isinstance(table, WebSearch)
    return _read(
        lambda text: tool_document(configured(text) if search else function_of(name, text)), _said(table), wrong
    )


def alias(name: str, targets: Sequence[str], wrong: Wrong) -> Document | None:
    def read(text: str) -> Document:
        return {"targets": [*targets_of(name, text)]}

    return _read(read, {"targets": [*targets]}, lambda place, text: wrong(place[1:], text))


def prompt(name: str, table: Prompt, folder: Path, wrong: Wrong) -> Document | None:
    if not PROMPT_NAME.fullmatch(name):
        wrong((), "is no name of a prompt: letters, digits, '_', '.' and '-', 128 at most")
    fields = _said(table, "tenant", "file")
    if table.file is not None and fields:
        wrong(("file",), f"it says all of the prompt: {', '.join(fields)} cannot be beside it")
        return None
    here = "the prompt"
    try:
        check_tenant(table.tenant)
        return prompt_document(prompt_of(fields, here) if table.file is None else read_prompt(folder / table.file))
    except (Problem, ValueError) as error:
        place = ("tenant",) if isinstance(error, ValueError) else ("file",) if table.file is not None else ()
        wrong(place, str(error).removeprefix(f"{here}: "))
        return None


def tenant(name: str, table: TenantLimits, wrong: Wrong) -> Document | None:
    try:
        check_tenant(name)
    except ValueError as error:
        wrong((), str(error))
    return limits_document(limits_of(table, wrong))


def key(name: str, table: Key, now: float, wrong: Wrong) -> tuple[Document, Ends]:
    """The document is without `expires`, which may depend on when the key was made."""
    try:
        make(
            new_token(),
            table.tenant,
            now=now,
            name=name,
            models=table.models or (),
            mcp=table.mcp or (),
            reasoning=table.reasoning or "",
        )
    except ValueError as error:
        wrong((), str(error))
    if not name:
        wrong((), "a key has a name")
    ends = _ends(table.expires, wrong)
    said = _said(table, "tenant", "expires", *Limits.__slots__, "usd_per_day", "usd_per_month")
    return {field: value for field, value in said.items() if value} | limits_document(limits_of(table, wrong)), ends


def limits_of(table: TenantLimits | Key, wrong: Wrong) -> Limits:
    """As the options of `keys limit` are read."""

    def read(field: str, value: str | int | None, reading: Callable[[str], int]) -> int | None:
        try:
            return None if value is None else reading(str(value))
        except ValueError as error:
            wrong((field,), str(error))
            return None

    return Limits(
        requests_per_minute=read("requests_per_minute", table.requests_per_minute, count_of),
        tokens_per_minute=read("tokens_per_minute", table.tokens_per_minute, count_of),
        pico_per_day=read("usd_per_day", table.usd_per_day, pico_of),
        pico_per_month=read("usd_per_month", table.usd_per_month, pico_of),
        concurrent=read("concurrent", table.concurrent, lambda text: count_of(text, MAX_RUNNING)),
    )


def limits_from_document(document: Mapping[str, JsonValue]) -> Limits:
    def read(field: str, reading: Callable[[str], int]) -> int | None:
        return reading(str(document[field])) if field in document else None

    return Limits(
        requests_per_minute=read("requests_per_minute", count_of),
        tokens_per_minute=read("tokens_per_minute", count_of),
        pico_per_day=read("usd_per_day", pico_of),
        pico_per_month=read("usd_per_month", pico_of),
        concurrent=read("concurrent", count_of),
    )


def _ends(text: str | None, wrong: Wrong) -> Ends:
    if text is None:
        return Ends()
    if (seconds := seconds_of(text)) is not None:
        return Ends(seconds=seconds)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        wrong(("expires",), "a number and h, d, w or y, such as 90d, or a date, such as 2027-06-30")
        return Ends()
    return Ends(at=int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


def _said(table: BaseModel, *but: str) -> Document:
    dumped = table.model_dump(mode="json", exclude_unset=True)
    return {field: value for field, value in dumped.items() if field not in but and value is not None}


def _read(reading: Callable[[str], Document], document: Document, wrong: Wrong) -> Document | None:
    """What `reading` makes of the document as JSON; None, and `wrong` is told, where that raises."""
    try:
        found = reading(json.dumps(document, ensure_ascii=False))
    except BadSetting as bad:
        wrong(bad.place, bad.what)
        return None
    if (size := len(json.dumps(found, ensure_ascii=False).encode())) > parameters.MAX_BYTES:
        wrong((), f"it would take {size} bytes, and a parameter holds {parameters.MAX_BYTES}")
    return found
