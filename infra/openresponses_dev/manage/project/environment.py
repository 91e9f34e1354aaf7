"""References to variables in the texts of a project's file: `$NAME`, `${NAME}`, and `$$` for a dollar.

A dollar that no name follows stays a dollar.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias, cast

from openresponses_dev.local.sandbox.environment import read_env_file
from openresponses_dev.manage.problems import Problem

Place: TypeAlias = tuple[str | int, ...]
"""Names of tables and fields, and positions in arrays, from the file's top."""
ENV_FILE = ".env"
_REFERENCE = re.compile(r"\$(?:(\$)|\{([^{}]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_NEAR = 0.8
"""Of 1. Most variables end in _API_KEY, which makes none the misspelling of another."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variables_of(folder: Path, process: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Those of this process, then those of `.env` in the folder. One that is empty is not set: so a CI passes on a
    secret that nobody gave it. Raises Problem.
    """
    file = folder / ENV_FILE
    try:
        beside = read_env_file(file) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise Problem(str(error)) from None
    return {**_set(beside), **_set(process)}


def _set(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value}


def refers(text: str) -> bool:
    """Whether there is a reference in it."""
    return any(not found[1] for found in _REFERENCE.finditer(text))


class Filling:
    """Puts values in the place of references. `wrong` says what could not be put where, `referring` where something
    was put.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.wrong: dict[Place, str] = {}
        self.referring: set[Place] = set()

    def filled(self, value: object, place: Place = ()) -> object:
        """What TOML holds, with its texts filled in. A text that could not be is left as it is."""
        match value:
            case str():
                return self._text(value, place)
            case dict():
                table = cast("dict[str, object]", value)
                return {name: self.filled(each, (*place, name)) for name, each in table.items()}
            case list():
                array = cast("list[object]", value)
                return [self.filled(each, (*place, position)) for position, each in enumerate(array)]
            case _:
                return value

    def _text(self, text: str, place: Place) -> str:
        missing: list[str] = []

        def put(found: re.Match[str]) -> str:
            if found[1]:
                return "$"
            name = found[2] if found[3] is None else found[3]
            self.referring.add(place)
            if name in self._variables:
                return self._variables[name]
            missing.append(self._why(name))
            return found[0]

        filled = _REFERENCE.sub(put, text)
        if missing:
            self.wrong[place] = "; ".join(dict.fromkeys(missing))
        return filled

    def _why(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            return f"${{{name}}} names no variable; a dollar is written $$"
        near = get_close_matches(name, self._variables, n=1, cutoff=_NEAR)
        hint = f" (did you mean ${near[0]}?)" if near else ""
        dollar = "" if name.isupper() else "; a dollar is written $$"
        return f"${name} is set neither in the environment nor in {ENV_FILE}{hint}{dollar}"
