"""Tools that are files, as this machine has them: those of the project that this folder is in, and the server's own."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from openresponses.schema.base import JsonObject
from openresponses.schema.tools import HostedTool
from openresponses.toolbox.files import ToolFiles
from openresponses.toolbox.own_files import own_files
from openresponses.toolbox.source import ToolMisconfigured
from openresponses_dev.local.command_line import command
from openresponses_dev.local.project import find_project
from openresponses_dev.manage.problems import Problem

FOLDER = "tools"


@dataclass(frozen=True, slots=True)
class FileTool:
    """`own`: it is the project's. `error` says why it can't be used, with file and line; empty where nothing does."""

    name: str
    path: Path
    own: bool
    files: ToolFiles = field(repr=False)
    description: str = ""
    parameters: JsonObject = field(default_factory=dict[str, JsonValue])
    error: str = ""


def file_tools() -> list[FileTool]:
    """The project's own before the server's; of two that have one name the project's counts. It imports them."""
    with quiet():
        found = {each.name: each for each in _ours()}
        own = {each.name: each for each in _own()}
    return [*own.values(), *(each for name, each in found.items() if name not in own)]


@contextmanager
def quiet() -> Generator[None]:
    """What a tool prints goes to standard error, and what the toolbox logs of it, which a command tells, nowhere."""
    log = logging.getLogger(ToolMisconfigured.__module__.rpartition(".")[0])
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        log.setLevel(level)


def _own() -> Iterator[FileTool]:
    if project := find_project():
        folder = project / FOLDER
        sys.dont_write_bytecode = True  # a project's folder stays as its user left it
        yield from _read(own_files(str(folder), traced=True), folder, own=True)


def _ours() -> Iterator[FileTool]:
    import openresponses.tools

    yield from _read(ToolFiles(traced=True), Path(openresponses.tools.__path__[0]), own=False)


def _read(files: ToolFiles, folder: Path, *, own: bool) -> Iterator[FileTool]:
    for name in files.names:
        module = folder / f"{name}.py"
        path = module if module.is_file() else folder / name
        try:
            offer = asyncio.run(files.offer(HostedTool(type=f"serverless:{name}")))
        except ToolMisconfigured as wrong:
            yield FileTool(name, path, own, files, error=wrong.message)
        else:
            tool = offer.tools[0] if offer else None
            if tool:
                yield FileTool(name, path, own, files, tool.description or "", tool.parameters or {})


def project_folder() -> Path:
    """Of a project's own tools. Raises Problem outside a project."""
    project = find_project()
    if project is None:
        raise Problem("this folder is in no project: no openresponses.toml is here or above it", command("init DIR"))
    return project / FOLDER
