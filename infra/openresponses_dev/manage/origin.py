"""Where this package was installed from, as another project has to name it: https://peps.python.org/pep-0610/."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.metadata import Distribution
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

_NAME = "openresponses"
_ELSEWHERE = (
    "# Another machine does not have it: for the workflow, put a wheel into this folder and name it, or an address."
)


@dataclass(frozen=True, slots=True)
class Origin:
    """`source` are the lines of a pyproject.toml that say where uv finds it, empty where the package index has it."""

    requirement: str
    source: str


def origin(installed: Distribution) -> Origin:
    """Where `installed` came from. A checkout is named without `editable`: its kit would be one of another moment."""
    written = installed.read_text("direct_url.json")
    if not written:
        return Origin(f"{_NAME}>={installed.version}", "")
    about, fields = _told(json.loads(written))
    listed = ", ".join(f"{name} = {_string(value)}" for name, value in fields.items())
    return Origin(_NAME, f"\n{about}\n[tool.uv.sources]\n{_NAME} = {{ {listed} }}\n")


def _told(direct: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """A comment, and the fields of a source: https://docs.astral.sh/uv/concepts/projects/dependencies/#dependency-sources"""
    url, inside = str(direct["url"]), {key: str(direct[key]) for key in ("subdirectory",) if key in direct}
    if vcs := direct.get("vcs_info"):
        asked = {"rev": str(vcs["requested_revision"])} if vcs.get("requested_revision") else {}
        about = (
            "# openresponses was installed from git. `uv sync --upgrade-package openresponses` takes a later commit."
        )
        return about, {str(vcs["vcs"]): url, **asked, **inside}
    if not url.startswith("file:"):
        return "# openresponses was installed from here. A new version has another address.", {"url": url, **inside}
    if "dir_info" in direct:
        about = (
            "# openresponses was installed from this folder. `uv sync --reinstall-package openresponses` does it anew."
        )
    else:
        about = "# openresponses was installed from this file. A new version is another file."
    return f"{about}\n{_ELSEWHERE}", {"path": url2pathname(urlsplit(url).path), **inside}


def _string(text: str) -> str:
    """As TOML writes it: JSON's escapes are TOML's, but for DEL (https://toml.io/en/v1.0.0#string)."""
    return re.sub("\x7f", r"\\u007f", json.dumps(text, ensure_ascii=False))
