"""`openresponses dev`: the local cloud in a terminal, until a signal ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from openresponses_dev.cli.options import BadOption, CloudOptions
from openresponses_dev.local.address import DEV_PORT, LOOPBACK
from openresponses_dev.local.cloud import DEFAULT_CONCURRENCY, LocalCloud
from openresponses_dev.local.gateway.listener import PortTaken
from openresponses_dev.local.gateway.socket_line import AS_ON_AWS, NO_SIZES
from openresponses_dev.local.kept import FILE, Kept, OtherFormat
from openresponses_dev.local.logs import Log
from openresponses_dev.local.private_folder import InUse, NotPrivate, PrivateFolder
from openresponses_dev.local.project import find_project
from openresponses_dev.local.restart import Found
from openresponses_dev.local.status_page import PATH
from openresponses_dev.local.template.yaml_tree import TemplateError
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.problems import fail

# Scripts and tests rely on the first two lines.
_READY = """\
export OPENAI_BASE_URL={base_url}
export OPENAI_API_KEY={api_key}

# Try, in another terminal, after these two lines:
curl -N $OPENAI_BASE_URL/responses -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H 'Content-Type: application/json' -d '{{"model": "offline/demo", "input": "Hello", "stream": true}}'
# or talk to it:  openresponses chat
# a real model:     openresponses providers set openai --local {origin}
{websocket}# What runs:        {page}
# Its template:     {template}
{keeps}"""
_WEBSOCKET = "# WebSocketBaseUrl:  {url}\n"
_KEEPS = "# What it keeps:    {path}: {what}; --fresh forgets it\n"
_IMPATIENT = {"OPENRESPONSES_CONFIG_SECONDS": "1"}
"""A provider that was just set should answer at once, and reading the local Parameter Store costs nothing."""


def dev(
    *,
    options: CloudOptions = CloudOptions(),
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535), help="0 is any free one")] = DEV_PORT,
    api_key: Annotated[
        str | None,
        Parameter(metavar="KEY", help="the key clients have to send (default: the one of before, or a random one)"),
    ] = None,
    concurrency: Annotated[
        int, Parameter(validator=Number(gte=1, lte=1000), help="sandboxes a function may have")
    ] = DEFAULT_CONCURRENCY,
    sam_host: Annotated[
        str, Parameter(metavar="ADDRESS", help="at which a container of sam local finds this machine")
    ] = LOOPBACK,
    websocket_origin: Annotated[
        Literal["same", "separate"], Parameter(help="WebSockets at the REST address too, or apart from it, as on AWS")
    ] = "same",
    websocket_limits: Annotated[Literal["on", "off"], Parameter(help="the sizes that API Gateway lets through")] = "on",
    fresh: Annotated[bool, Parameter(help="forget what was kept in this folder: keys, providers, responses")] = False,
    keep_nothing: Annotated[bool, Parameter(help="neither read nor write what is kept in this folder")] = False,
    no_reload: Annotated[bool, Parameter(help="keep sandboxes when their source changes")] = False,
) -> int:
    """The exit status."""
    log, kept, folder = None, None, PrivateFolder(find_project() or Path.cwd())
    try:
        log = Log(sys.stderr, raw=options.raw_logs, file=options.log_file)
        if not keep_nothing:
            kept = Kept(folder, now=time.time(), fresh=fresh, say=partial(log.say, failed=True))
        cloud = LocalCloud(
            options.template_path(),
            port=port,
            env={**_IMPATIENT, **options.environment()},
            parameters=options.parameters(),
            api_key=api_key,
            providers=options.provider_settings(),
            aliases=options.aliases(),
            concurrency=concurrency,
            reload=not no_reload,
            log=log,
            private=folder,
            sam_host=sam_host,
            socket_limits=AS_ON_AWS if websocket_limits == "on" else NO_SIZES,
            separate_origin=websocket_origin == "separate",
            kept=kept,
        )
        asyncio.run(_run(cloud, kept))
    except PortTaken as error:
        return fail(f"{error}: choose another with --port, or --port 0 for any")
    except sqlite3.Error as error:
        return fail(f"{folder.path / FILE}: {error}: start with --keep-nothing, which leaves it as it is")
    except (BadOption, TemplateError, NotPrivate, InUse, OtherFormat, ValueError, OSError) as error:
        return fail(error)
    finally:
        if kept:
            kept.close()
        if log:
            log.close()
    return 0


async def _run(cloud: LocalCloud, kept: Kept | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with cloud:
        _tell(
            cloud,
            _READY.format(
                base_url=cloud.base_url,
                websocket=_WEBSOCKET.format(url=cloud.websocket_base_url) if cloud.websocket_base_url else "",
                api_key=cloud.api_key,
                origin=cloud.origin,
                page=cloud.origin + PATH,
                template=cloud.template.path,
                keeps=_kept_in(kept, cloud.found),
            ),
        )
        await stop.wait()
        cloud.log.say("stopping")


def _kept_in(kept: Kept | None, found: Found) -> str:
    return _KEEPS.format(path=kept.path, what=found.told()) if kept else ""


def _tell(cloud: LocalCloud, text: str) -> None:
    """On standard output. Nothing stops if nobody reads that, or a full disk is behind it."""
    try:
        say(text)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter tries once more, and fails
        cloud.log.say(f"standard output cannot be written: {error.strerror}", failed=True)
