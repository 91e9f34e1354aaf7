"""`openresponses dev`: the local cloud in a terminal, until a signal ends it."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from openresponses_dev.cli.dev_run import Runner
from openresponses_dev.cli.dev_text import in_use, port_taken, ready
from openresponses_dev.cli.options import BadOption, CloudOptions
from openresponses_dev.local.address import DEV_PORT, LOOPBACK
from openresponses_dev.local.cloud import DEFAULT_CONCURRENCY, LocalCloud
from openresponses_dev.local.gateway.listener import Listeners, PortTaken
from openresponses_dev.local.gateway.socket_line import AS_ON_AWS, NO_SIZES
from openresponses_dev.local.kept import FILE, Kept, OtherFormat
from openresponses_dev.local.logs import Log
from openresponses_dev.local.private_folder import InUse, NotPrivate, PrivateFolder
from openresponses_dev.local.project import find_project
from openresponses_dev.local.template.template import Template
from openresponses_dev.local.template.yaml_tree import TemplateError
from openresponses_dev.manage.problems import fail

_IMPATIENT = {"OPENRESPONSES_CONFIG_SECONDS": "1"}
"""A provider that was just set should answer at once, and reading the local Parameter Store costs nothing."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class DevOptions:
    """What `dev` takes beside what `invoke` does, too."""

    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535), help="0 is any free one")] = DEV_PORT
    api_key: Annotated[
        str | None,
        Parameter(metavar="KEY", help="the key clients have to send (default: the one of before, or a random one)"),
    ] = None
    concurrency: Annotated[int, Parameter(validator=Number(gte=1, lte=1000), help="sandboxes a function may have")] = (
        DEFAULT_CONCURRENCY
    )
    sam_host: Annotated[
        str, Parameter(metavar="ADDRESS", help="at which a container of sam local finds this machine")
    ] = LOOPBACK
    websocket_origin: Annotated[
        Literal["same", "separate"], Parameter(help="WebSockets at the REST address too, or apart from it, as on AWS")
    ] = "same"
    websocket_limits: Annotated[Literal["on", "off"], Parameter(help="the sizes that API Gateway lets through")] = "on"
    fresh: Annotated[bool, Parameter(help="forget what was kept in this folder: keys, providers, responses")] = False
    keep_nothing: Annotated[bool, Parameter(help="neither read nor write what is kept in this folder")] = False
    no_reload: Annotated[bool, Parameter(help="change nothing when source, template or project file change")] = False


def dev(*, options: CloudOptions = CloudOptions(), own: DevOptions = DevOptions()) -> int:
    """The exit status."""
    log, kept, folder = None, None, PrivateFolder(find_project() or Path.cwd())
    listeners = Listeners.at(own.port)
    with tempfile.TemporaryDirectory() as passing, ExitStack() as stack:
        stack.callback(listeners.close)
        try:
            log = Log(sys.stderr, raw=options.raw_logs, file=options.log_file)
            stack.callback(log.close)
            if not own.keep_nothing or not own.no_reload:
                where = PrivateFolder(Path(passing)) if own.keep_nothing else folder
                kept = Kept(where, now=time.time(), fresh=own.fresh, say=partial(log.say, failed=True))
                stack.callback(kept.close)
            make = partial(
                LocalCloud,
                port=listeners,
                env={**_IMPATIENT, **options.environment()},
                parameters=options.parameters(),
                api_key=own.api_key,
                providers=options.provider_settings(),
                aliases=options.aliases(),
                concurrency=own.concurrency,
                reload=not own.no_reload,
                log=log,
                private=folder,
                sam_host=own.sam_host,
                socket_limits=AS_ON_AWS if own.websocket_limits == "on" else NO_SIZES,
                separate_origin=own.websocket_origin == "separate",
                kept=kept,
            )
            listeners.rest.open().close()  # before what takes a while
            shown = partial(ready, project=find_project(), kept=None if own.keep_nothing else kept)
            asyncio.run(_run(make, options.template_path(), log, reload=not own.no_reload, ready=shown))
        except PortTaken as error:
            return port_taken(error)
        except InUse as error:
            return in_use(error, folder)
        except sqlite3.Error as error:
            return fail(f"{folder.path / FILE}: {error}: start with --keep-nothing, which leaves it as it is")
        except (BadOption, TemplateError, NotPrivate, OtherFormat, ValueError, OSError) as error:
            if isinstance(error, OSError) and error.filename == str(folder.path):
                return fail(f"{folder.path} can't be made: {error.strerror}: run dev in a folder that you may write")
            return fail(error)
    return 0


async def _run(
    make: Callable[[Path | Template], LocalCloud],
    template: Path,
    log: Log,
    *,
    reload: bool,
    ready: Callable[[LocalCloud], None],
) -> None:
    runner = Runner(make, template, log=log, project=find_project(), reload=reload, ready=ready)
    await runner.run(make(template))
