"""`openresponses init`: the files of a project that a user owns. starter/ has them; what they say is not known here.

A file whose name ends in `.in` there loses that. It has `$name` or the like to be filled in, or has to be hidden from
the tools that check this repository.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from importlib.metadata import distribution, distributions
from pathlib import Path
from string import Template
from typing import Annotated
from unicodedata import normalize

from cyclopts import Parameter

from openresponses_dev.local.command_line import NAME, command
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.origin import origin
from openresponses_dev.manage.problems import Problem

_STARTER = Path(__file__).parent / "starter"
_TO_FILL = ".in"
LONGEST = 29
"""Characters of a project's name, which is its stack's. CloudFormation calls the stack within that one
`NAME-OpenResponses-` and 13 random characters, and with a WebSocket API its name may have 57 (docs/deploy.md).
"""
_NAME = re.compile("[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_RULE = f"it needs letters, digits and hyphens, a letter first, {LONGEST} characters at most"

_NEXT = """\
{made} has a project of your own. Go on with these:

{enter}uv sync
uv run openresponses dev

# and in another terminal, in the same folder:
uv run openresponses chat --model fast "Hello"
uv run pytest

# {readme} tells the rest.
"""
_NO_UV = (
    "\n# The project needs uv, which is not on your PATH: https://docs.astral.sh/uv/getting-started/installation/\n"
)


def init(
    folder: Annotated[Path, Parameter(name="DIR", help="a new or empty folder; `.` is this one")],
    /,
    *,
    name: Annotated[
        str | None, Parameter(help="of the project and of its stack on AWS (default: the folder's)")
    ] = None,
) -> None:
    """Raises Problem."""
    name = name or folder.resolve().name
    _check(name, folder)
    known = origin(distribution(NAME))
    values = {"name": name, "requirement": known.requirement, "source": known.source}
    try:
        _write(folder, {target: _text(source, values) for target, source in _files()})
    except OSError as error:
        raise Problem(f"{error.filename or folder}: {error.strerror}", "choose another folder") from None
    here = folder.resolve() == Path.cwd()
    enter = "" if here else f"cd {shlex.quote(str(folder))}\n"
    say(_NEXT.format(made="This folder" if here else folder, enter=enter, readme="README.md"))
    if not shutil.which("uv"):
        say(_NO_UV)


def _check(name: str, folder: Path) -> None:
    """Raises Problem where `name` is none for a Python project (https://peps.python.org/pep-0508/#names), a stack
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html), or is already one of the
    packages that the project needs: uv takes the project itself for that package then.
    """
    taken = {_normal(each.name) for each in distributions()} | {"pytest"}
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        problem = f"{name or folder} is no name for a project: {_RULE}"
    elif _normal(name) in taken:
        problem = f"{name} is no name for a project: a package that it needs has this name"
    else:
        return
    better = _better(name, taken)
    if folder.name == name != "":
        raise Problem(problem, command(f"init {shlex.quote(str(folder.with_name(better)))}"))
    raise Problem(problem, command(f"init {shlex.quote(str(folder))} --name {better}"))


def _better(name: str, taken: set[str]) -> str:
    """A name that can be taken, as much like `name` as can be."""
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = re.sub("[^A-Za-z0-9]+", "-", plain).lstrip("-0123456789")[:LONGEST].rstrip("-") or "mine"
    return f"my-{found}"[:LONGEST].rstrip("-") if _normal(found) in taken else found


def _normal(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def _files() -> Iterator[tuple[Path, Path]]:
    """Each file of a project, and the one of ours that it is made from."""
    for source in sorted(_STARTER.rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts:
            inside = source.relative_to(_STARTER)
            yield inside.with_name(inside.name.removesuffix(_TO_FILL)), source


def _text(source: Path, values: dict[str, str]) -> str:
    text = source.read_text()
    return Template(text).substitute(values) if source.name.endswith(_TO_FILL) else text


def _write(folder: Path, files: dict[Path, str]) -> None:
    """All of them or none: raises Problem where one is there. Raises OSError."""
    if there := [str(target) for target in files if (folder / target).exists() or (folder / target).is_symlink()]:
        raise Problem(f"{folder} has {', '.join(there)} already, and nothing is overwritten", "choose an empty folder")
    made: list[Path] = []
    try:
        for target, text in files.items():
            made += _make_folder((folder / target).parent)
            with (folder / target).open("x") as file:
                made.append(folder / target)
                file.write(text)
    except OSError:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()
        raise


def _make_folder(folder: Path) -> list[Path]:
    """The folders that were made for it, the outer ones first. Raises OSError, and then none is left."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]
