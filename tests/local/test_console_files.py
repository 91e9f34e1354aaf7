"""The files of the console, as `dev` serves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from openresponses_dev.local.console.files import file_at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "console"
    (folder / "views").mkdir(parents=True)
    for name in ("index.html", "app.js", "views/try.js", "icon.svg", ".hidden.js", "notes.txt"):
        (folder / name).write_text(name)
    (tmp_path / "secret.js").write_text("secret")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")
    return folder


@pytest.mark.parametrize(
    ("path", "file", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/console", "index.html", "text/html; charset=utf-8"),
        ("/console/", "index.html", "text/html; charset=utf-8"),
        ("/console/app.js", "app.js", "text/javascript; charset=utf-8"),
        ("/console/views/try.js", "views/try.js", "text/javascript; charset=utf-8"),
        ("/console/icon.svg", "icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_has_its_kind_and_a_strict_policy(folder: Path, path: str, file: str, kind: str) -> None:
    found = file_at(path, folder)
    assert found
    head, body = found
    headers = dict(head.headers)
    assert (head.status, body, headers["content-type"]) == (200, file.encode(), kind)
    assert headers["cache-control"] == "no-cache"
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")


@pytest.mark.parametrize(
    "path",
    [
        "/console/../secret.js",
        "/console/%2e%2e/secret.js",
        "/console/..%2fsecret.js",
        "/console/%2e%2e%5csecret.js",
        "/console//etc/passwd",
        "/console/views/../../secret.js",
        "/console/link.js",
        "/console/.hidden.js",
        "/console/notes.txt",
        "/console/views",
        "/console/nothing.js",
        "/console/app.js%00",
        "/consoles/app.js",
        "/app.js",
    ],
)
def test_nothing_else_is_served(folder: Path, path: str) -> None:
    assert file_at(path, folder) is None
