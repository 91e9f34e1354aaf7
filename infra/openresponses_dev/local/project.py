"""Where the project's template is: in this folder, in the installed package, or in the checkout it runs from."""

from __future__ import annotations

from pathlib import Path

_HERE = Path("template.yaml")
_INSTALLED = Path(__file__).parents[1] / "project"  # pyproject.toml says what the wheel carries there
_CHECKOUT = Path(__file__).parents[3]


def find_template() -> Path:
    """This folder's template if the folder is a copy of the project; otherwise the one that came with the package."""
    if _HERE.is_file() and Path("functions/openresponses").is_dir():
        return _HERE
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT) / _HERE
