"""Functions follow their source: sandboxes are replaced, and what is wrong with a tool is said before it is called."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from watchfiles import DefaultFilter, awatch  # pyright: ignore[reportUnknownVariableType]

from openresponses_dev.local.logs import Log
from openresponses_dev.local.private_folder import NAME as PRIVATE
from openresponses_dev.local.sandbox.functions import Function

_CHECK = Path(__file__).with_name("sandbox") / "tool_check.py"
_CHECK_SECONDS = 60.0
_TOOLS = Path("openresponses/tools")
DEBOUNCE_MS, STEP_MS = 200, 50


def not_ours() -> DefaultFilter:
    """What is not written by `dev` itself."""
    return DefaultFilter(ignore_dirs=(*DefaultFilter.ignore_dirs, PRIVATE))


async def follow_source(
    functions: Mapping[str, Function], log: Log, environment: Callable[[Function], dict[str, str]]
) -> None:
    """Until it is cancelled. `environment` is that of a function's processes."""
    roots = {folder for function in functions.values() for folder in _folders(function)}
    async for changes in awatch(*roots, watch_filter=not_ours(), debounce=DEBOUNCE_MS, step=STEP_MS):
        changed = sorted(Path(path) for _, path in changes)
        log.say(f"{_told(changed)}, reloading")
        concerned = [each for each in functions.values() if _any_below(changed, _folders(each))]
        tools = next((each for each in concerned if _any_below(changed, _tool_folders(each))), None)
        if tools:
            log.history.forget("tool")
        replaced = (function.replace() for function in concerned)
        await asyncio.gather(*replaced, *([check_tools(tools, log, environment(tools))] if tools else []))


async def check_tools(function: Function, log: Log, environment: dict[str, str]) -> None:
    """In a process of its own, as the function would import them. It logs what is wrong as the function does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(_CHECK)),
        cwd=function.spec.task_root,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        log.wrong("tool", f"the tools could not be imported within {_CHECK_SECONDS:.0f} s")
        return
    finally:
        if process.returncode is None:
            process.kill()
    for line in said.decode(errors="replace").splitlines():
        log.output(function.spec.name, line)


def _told(changed: Sequence[Path]) -> str:
    """Names a file that is there, if one of them is: editors write others beside it, and remove them."""
    there = next((path for path in changed if path.is_file()), None)
    return f"{there.name} changed" if there else f"{changed[0].name} {'changed' if changed[0].exists() else 'is gone'}"


def _folders(function: Function) -> Collection[Path]:
    return function.spec.folders


def _tool_folders(function: Function) -> Collection[Path]:
    own = function.spec.tools
    return (function.spec.task_root / _TOOLS, *([own] if own else []))


def _any_below(paths: Iterable[Path], folders: Collection[Path]) -> bool:
    return any(path.is_relative_to(folder) for path in paths for folder in folders)
