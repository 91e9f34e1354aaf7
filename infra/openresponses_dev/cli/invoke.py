"""`openresponses invoke`: one invocation of a function, its answer on standard output as it comes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from openresponses_dev.cli.options import BadOption, CloudOptions
from openresponses_dev.cli.rie import RieMissing, invoke_through_rie, locate
from openresponses_dev.local.address import KEY_OF_EVENTS
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.answers import Head, Malformed, prepended, read_buffered, read_prelude
from openresponses_dev.local.logs import Log
from openresponses_dev.local.project import kit
from openresponses_dev.local.sandbox.calls import Call, FunctionError, InvokeError
from openresponses_dev.local.template.yaml_tree import TemplateError
from openresponses_dev.local.terminal import body_writer, one_line, say
from openresponses_dev.manage.problems import fail


def invoke(
    function: Annotated[str, Parameter(help="its logical id in the template")],
    /,
    *,
    options: CloudOptions = CloudOptions(),
    event: Annotated[
        str, Parameter(metavar="FILE", allow_leading_hyphen=True, help="the event, JSON; - is standard input")
    ],
    api_key: Annotated[str, Parameter(metavar="KEY", help="a key that the gateway accepts")] = KEY_OF_EVENTS,
    rie: Annotated[bool, Parameter(help="through the Lambda Runtime Interface Emulator of aws-sam-cli")] = False,
) -> int:
    """The exit status: 1 when the function failed, 2 when it could not be invoked."""
    log = Log(sys.stderr, raw=options.raw_logs, file=options.log_file)
    try:
        template = options.template_path()
        payload = _read_event(event, template.parent)
        cloud = LocalCloud(
            template,
            env=options.environment(),
            parameters=options.parameters(),
            api_key=api_key,
            providers=options.provider_settings(),
            aliases=options.aliases(),
            log=log,
        )
        function = _named(function, cloud.functions)
        asyncio.run(_through_rie(cloud, function, payload) if rie else _run(cloud, function, payload))
    except FunctionError as error:
        say(error.document().decode(), sys.stderr)
        return 1
    except (BadOption, TemplateError, RieMissing, InvokeError, Malformed, ValueError, OSError) as error:
        return fail(error)
    finally:
        log.close()
    return 0


def _named(function: str, known: Iterable[str]) -> str:
    """Its name. One in a nested template may be named without the application's. Raises BadOption."""
    names = [*known]
    found = [name for name in names if name == function] or [n for n in names if n.rpartition("/")[2] == function]
    if len(found) != 1:
        raise BadOption(f"no function {function!r}; there are: {', '.join(names)}")
    return found[0]


def _read_event(source: str, project: Path) -> object:
    """A file here, or else in the project's folder, or the kit's: its own events are in events/.

    Raises BadOption, OSError.
    """
    path = Path(source)
    try:
        if source == "-":
            return json.loads(sys.stdin.read())
        found = (folder / path for folder in (Path(), project, kit()))
        return json.loads(next((each for each in found if each.exists()), path).read_text())
    except ValueError as error:
        raise BadOption(f"{source}: not JSON: {error}") from error


async def _run(cloud: LocalCloud, function: str, event: object) -> None:
    async with cloud:
        call = cloud.invoke(function, event)
        try:
            await _print_answer(call)
            if call.error:
                raise call.error
        finally:
            cloud.log.say(call.summary("", "failed" if call.error else "ok"), failed=call.error is not None)


async def _print_answer(call: Call) -> None:
    write = body_writer(sys.stdout)
    async with aclosing(call.chunks()) as chunks:
        first = await anext(chunks, None)
        if first is None:
            return
        if not call.streaming:
            print_whole(first)
            return
        head, last = await read_prelude(prepended(first, chunks))
        _print_head(head)
        write(last)
        async for chunk in chunks:
            write(last := chunk)
        _end_line(last)


def print_whole(payload: bytes) -> None:
    """Print a proxy answer as a client would see it, and anything else unchanged."""
    write = body_writer(sys.stdout)
    try:
        head, body = read_buffered(payload)
    except Malformed:
        write(payload + b"\n")
    else:
        _print_head(head)
        write(body)
        _end_line(body)


def _end_line(last: bytes) -> None:
    if sys.stdout.isatty() and not last.endswith(b"\n"):
        say("")


def _print_head(head: Head) -> None:
    lines = [f"HTTP {head.status}", *(one_line(f"{name}: {value}") for name, value in head.headers)]
    say("\n".join(lines), sys.stderr)


async def _through_rie(cloud: LocalCloud, function: str, event: object) -> None:
    program = locate()
    async with cloud:
        payload = await invoke_through_rie(program, cloud, function, json.dumps(event).encode())
    try:
        document: Any = json.loads(payload)
    except ValueError as error:
        raise Malformed(f"not JSON: {payload[:200]!r}") from error
    match document:
        case {"errorType": error_type, **rest}:
            raise FunctionError(str(error_type), str(rest.get("errorMessage", "")))
        case _:
            print_whole(payload)
