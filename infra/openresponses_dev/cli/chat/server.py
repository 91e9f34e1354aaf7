"""Which server `chat` talks to, with which key, and where both were found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from openresponses_dev.local.address import DEV_URL
from openresponses_dev.local.command_line import command
from openresponses_dev.local.dev_key import key_of
from openresponses_dev.local.private_folder import NAME
from openresponses_dev.local.status_page import JSON_PATH
from openresponses_dev.manage.problems import Problem

BASE_URL, API_KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
_RESPONSES = "/responses"
_LOOK_S = 2.0
"""How long a local server may take to say who it is."""


@dataclass(frozen=True, slots=True)
class Server:
    """`key_from` says where the key was found, for whom it is refused. `note` is what the user should know."""

    base_url: str
    api_key: str = field(default="", repr=False)
    key_from: str = ""
    note: str = ""


def find_server(base_url: str | None, api_key: str | None, environment: Mapping[str, str]) -> Server:
    """The one that is named, or else the `dev` that runs. Raises Problem."""
    given, name = base_url or environment.get(BASE_URL, ""), "--base-url" if base_url else BASE_URL
    named = (api_key, "--api-key") if api_key else (environment.get(API_KEY, ""), API_KEY)
    if given:
        url, note = mended(given, name)
        key, key_from = named if named[0] else (_key_of(url), "the dev that runs")
        return Server(url, key, key_from if key else "", note)
    found = _running()
    if found is None:
        raise Problem(
            "there is no server to talk to: none runs at this machine's usual place, and none is named",
            f"{command('dev')} in another terminal, or name one with --base-url or {BASE_URL}",
        )
    url, key = found
    if api_key or not key:  # a key of the environment may be another server's, and is not sent to this one
        return Server(url, api_key or "", "--api-key" if api_key else "")
    return Server(url, key, "the dev that runs", f"the dev that runs: {url}")


def mended(given: str, name: str) -> tuple[str, str]:
    """A base URL as clients take it, and what was changed of it. `name` says where it is from. Raises Problem."""
    url, parts = given.strip().rstrip("/"), urlsplit(given.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Problem(f"{name} is {given}, which is no URL", f"--base-url http://{given.strip('/')}, or https://...")
    if parts.query or parts.fragment:
        raise Problem(f"{name} is {given}: a base URL ends with its path", "leave out what comes after the path")
    while url.endswith(_RESPONSES):
        url = url.removesuffix(_RESPONSES).rstrip("/")
    if not urlsplit(url).path:
        url += "/v1"
    return url, "" if url == given.strip().rstrip("/") else f"{name} is {given}: {url} is meant, and used"


def _running() -> tuple[str, str] | None:
    """The base URL and the key of the `dev` of this folder, or of the one at the usual address. None if none runs."""
    for origin in dict.fromkeys([*_origins_here(), DEV_URL]):
        if status := _status(origin):
            return str(status.get("base_url")), key_of(origin, status)
    return None


def _origins_here() -> Iterator[str]:
    """Where a `dev` of this folder, or of one above it, said that it listens."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        for file in sorted((folder / NAME).glob("*.json")):
            if file.stem.isdecimal():
                yield f"http://127.0.0.1:{file.stem}"


def _key_of(base_url: str) -> str:
    """The key of a `dev` at this base URL; empty if it is another server."""
    parts = urlsplit(base_url)
    if parts.hostname not in ("127.0.0.1", "localhost") or not parts.port:
        return ""
    origin = f"{parts.scheme}://{parts.netloc}"
    status = _status(origin)
    return key_of(origin, status) if status else ""


def _status(origin: str) -> Mapping[str, object] | None:
    try:
        answer = httpx2.get(origin + JSON_PATH, timeout=_LOOK_S, trust_env=False)
        status: object = answer.raise_for_status().json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return None
    return status if isinstance(status, dict) and "base_url" in status else None  # pyright: ignore[reportUnknownVariableType]


def message_in(body: bytes) -> str:
    """What an error's body says: the message of OpenAI's shape, or the text."""
    text = body.decode("utf-8", "replace")
    try:
        found: object = json.loads(text)
        error: object = found.get("error", found)  # type: ignore[union-attr]
        return str(error["message"])  # type: ignore[index]
    except (ValueError, KeyError, TypeError, AttributeError):
        return text[:200].strip() or "no reason was given"
