"""The console: a page, its style and its modules, read from the package's folder `console`.

Imported when somebody asks for it. Its addresses are relative, so it works below a stage and at the root alike.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from ..core.errors import NotFound

FOLDER = Path(__file__).parents[1] / "console"
PAGE = "index.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page runs no script but its own files, loads nothing from elsewhere, and is shown in no other page."""
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def answer(request: Request) -> Response:
    """The page, or the file that the path names. Raises NotFound.

    A browser asks each time whether a file has changed: the modules of two versions do not fit together.
    """
    name = request.path_params.get("file", PAGE)
    read = contents().get(name)
    if read is None or request.path_params.get("file") == PAGE:  # its addresses would lead nowhere from there
        raise NotFound(f"The console has no file {name}")
    tag = f'"{sha256(read).hexdigest()[:32]}"'
    headers = {**HEADERS, "cache-control": "no-cache", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(read, media_type=MEDIA_TYPES[Path(name).suffix], headers=headers)


@cache
def contents() -> dict[str, bytes]:
    """The files by name."""
    return {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in MEDIA_TYPES}
