"""Which server `chat` talks to, with which key, and where both were found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from openresponses_dev.local.address import DEV_URL
from openresponses_dev.local.command_line import command
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.running import running_at, running_dev

BASE_URL, API_KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
_RESPONSES = "/responses"


@dataclass(frozen=True, slots=True)
class Server:
    """`key_from` says where the key was found, for whom it is refused. `note` is what the user should know."""

    base_url: str
    api_key: str = field(default="", repr=False)
    key_from: str = ""
    note: str = ""


def find_server(base_url: str | None, local: str | None, api_key: str | None, environment: Mapping[str, str]) -> Server:
    """The one that is named, or else the `dev` that runs; an empty `local` asks for that one. Raises Problem."""
    if base_url and local is not None:
        raise Problem("--base-url and --local both name a server", "leave one of them out")
    given, name = base_url or environment.get(BASE_URL, ""), "--base-url" if base_url else BASE_URL
    named = (api_key, "--api-key") if api_key else (environment.get(API_KEY, ""), API_KEY)
    if given and local is None:
        url, note = mended(given, name)
        key, key_from = named if named[0] else (_key_of(url), "the dev that runs")
        return Server(url, key, key_from if key else "", note)
    found = running_at(local) if local else running_dev() or running_at(DEV_URL)
    if found is None:
        nobody = f"no local cloud answers at {local}" if local else "none runs at this machine's usual place"
        raise Problem(
            f"there is no server to talk to: {nobody}" + ("" if local else ", and none is named"),
            f"{command('dev')} in another terminal, or name one with --base-url or {BASE_URL}",
        )
    url, key = found.base_url, found.api_key
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


def _key_of(base_url: str) -> str:
    """The key of a `dev` at this base URL; empty if it is another server."""
    parts = urlsplit(base_url)
    if parts.hostname not in ("127.0.0.1", "localhost") or not parts.port:
        return ""
    found = running_at(f"{parts.scheme}://{parts.netloc}")
    return found.api_key if found else ""


def message_in(body: bytes) -> str:
    """What an error's body says: the message of OpenAI's shape, or the text. Empty if that is nothing, or a page."""
    text = body.decode("utf-8", "replace")
    try:
        found: object = json.loads(text)
        error: object = found.get("error", found)  # type: ignore[union-attr]
        return str(error["message"])  # type: ignore[index]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "" if text.lstrip().startswith("<") else " ".join(text[:200].split())
