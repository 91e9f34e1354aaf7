"""The files that a template consists of: itself, those that it nests, and what they name, such as state machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openresponses_dev.local.template.yaml_tree import TemplateError, Value, parse

_TEMPLATES = (".yaml", ".yml")
_MOST_NAME = 1_000


def files_of(template: Path) -> set[Path]:
    """As far as they can be read."""
    found: set[Path] = set()
    _add(template.absolute(), found)
    return found


def _add(template: Path, found: set[Path]) -> None:
    found.add(template)
    try:
        document = parse(template.read_text(), str(template))
    except (OSError, ValueError, TemplateError):
        return
    for text in _texts({**document}):
        file = _file(template.parent, text)
        if file is None or file in found:
            continue
        if file.suffix in _TEMPLATES:
            _add(file, found)
        else:
            found.add(file)


def _file(folder: Path, text: str) -> Path | None:
    if not text or len(text) > _MOST_NAME or "\n" in text or "\0" in text:
        return None
    try:
        file = folder / text
        return file if file.is_file() else None
    except OSError:  # a name that is too long, say
        return None


def _texts(value: Value) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case dict():
            for each in value.values():
                yield from _texts(each)
        case _:
            pass
