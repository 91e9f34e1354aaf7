"""Where a project is: one that `openresponses init` made, a copy of this repository, or what came with the package."""

from __future__ import annotations

from pathlib import Path

PROJECT_FILE = "openresponses.toml"
"""Marks the folder of a project that a user owns."""
INSTALLED = Path("share/openresponses/template.yaml")
"""Where the wheel puts the template in an environment (pyproject.toml says so)."""
_HERE = Path("template.yaml")
_NESTS = "AWS::Serverless::Application"
_INSTALLED = Path(__file__).parents[1] / "project"  # pyproject.toml says what the wheel carries there
_CHECKOUT = Path(__file__).parents[3]


def find_project(start: Path | None = None) -> Path | None:
    """The nearest folder with a PROJECT_FILE, from `start` upwards (default: the current folder); None without one."""
    begin = (start or Path.cwd()).absolute()
    return next((folder for folder in (begin, *begin.parents) if (folder / PROJECT_FILE).is_file()), None)


def kit() -> Path:
    """The folder of the template that came with the package, and of what the template names."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def find_template() -> Path:
    """The template of the project that this folder is in; this folder's, if it nests another one or is a copy of this
    repository; otherwise the one that came with the package.
    """
    project = find_project()
    if project and (project / _HERE).is_file():
        return project / _HERE
    if _HERE.is_file() and (Path("functions/openresponses").is_dir() or _NESTS in _HERE.read_text(errors="replace")):
        return _HERE
    return kit() / _HERE
