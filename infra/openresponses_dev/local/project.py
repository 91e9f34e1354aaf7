"""Where a project is: one that `openresponses init` made, a copy of this repository, or what came with the package."""

from __future__ import annotations

from pathlib import Path

PROJECT_FILE = "openresponses.toml"
"""Marks the folder of a project that a user owns."""
_HERE = Path("template.yaml")
_INSTALLED = Path(__file__).parents[1] / "project"  # pyproject.toml says what the wheel carries there
_CHECKOUT = Path(__file__).parents[3]


def find_project(start: Path | None = None) -> Path | None:
    """The nearest folder with a PROJECT_FILE, from `start` upwards (default: the current folder); None without one."""
    begin = (start or Path.cwd()).absolute()
    return next((folder for folder in (begin, *begin.parents) if (folder / PROJECT_FILE).is_file()), None)


def kit() -> Path:
    """The folder of the template that came with the package, and of what it names."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def find_template() -> Path:
    """This folder's template if the folder is a copy of the project; otherwise the one that came with the package."""
    if _HERE.is_file() and Path("functions/openresponses").is_dir():
        return _HERE
    return kit() / _HERE
