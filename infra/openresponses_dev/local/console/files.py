"""The files of the console: those of a folder, as a browser takes them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import openresponses
from openresponses_dev.local.gateway.answers import Head

FOLDER = Path(openresponses.__file__).parent / "console"
PREFIX = "/console"
_INDEX = "index.html"
_NAME = re.compile(r"\w[\w-]*(\.[\w-]+)*")
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page loads nothing from elsewhere, and tells nobody else what is typed into it."""
_HEADERS = [
    ("cache-control", "no-cache"),
    ("content-security-policy", _POLICY),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
]


def file_at(path: str, folder: Path = FOLDER) -> tuple[Head, bytes] | None:
    """What is at a path of a URL, as on the wire: `/`, `/console` or below it. None where no file is."""
    if path in ("/", PREFIX, f"{PREFIX}/"):
        words = [_INDEX]
    elif path.startswith(f"{PREFIX}/"):
        words = unquote(path.removeprefix(f"{PREFIX}/")).split("/")
    else:
        return None
    file = folder.joinpath(*words) if all(map(_NAME.fullmatch, words)) else folder
    kind = _KINDS.get(file.suffix)
    if kind is None or not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        return None
    return Head(200, [("content-type", kind), *_HEADERS]), file.read_bytes()
