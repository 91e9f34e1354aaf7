"""`openresponses dev`: the local cloud in a terminal, until a signal ends it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from openresponses_dev.cli.options import BadOption, aliases, assignments, environment, fail, providers
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.gateway.server import PortTaken
from openresponses_dev.local.logs import Log
from openresponses_dev.local.status_page import PATH
from openresponses_dev.local.template.yaml_tree import TemplateError

# What the first two lines look like is relied on by scripts and tests.
_READY = """\
export OPENAI_BASE_URL={base_url}
export OPENAI_API_KEY={api_key}

# Try, in another terminal, after these two lines:
curl -N $OPENAI_BASE_URL/responses -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H 'Content-Type: application/json' -d '{{"model": "offline/demo", "input": "Hello", "stream": true}}'
# or talk to it:  openresponses chat
# a real model:     openresponses providers set openai --local {origin}
# What runs:        {page}
"""
_IMPATIENT = {"OPENRESPONSES_CONFIG_SECONDS": "1"}
"""Who sets a provider here wants to try it now, and Parameter Store costs nothing."""


def dev(arguments: argparse.Namespace) -> int:
    """The exit status."""
    log = None
    try:
        log = Log(sys.stderr, raw=arguments.raw_logs, file=arguments.log_file)
        cloud = LocalCloud(
            arguments.template,
            port=arguments.port,
            env={**_IMPATIENT, **environment(arguments)},
            parameters=assignments(arguments.parameter, "--parameter"),
            api_key=arguments.api_key,
            providers=providers(arguments),
            aliases=aliases(arguments),
            concurrency=arguments.concurrency,
            reload=arguments.reload,
            log=log,
        )
        asyncio.run(_run(cloud))
    except PortTaken as error:
        return fail(f"{error}: choose another with --port, or --port 0 for any")
    except (BadOption, TemplateError, ValueError, OSError) as error:
        return fail(error)
    finally:
        if log:
            log.close()
    return 0


async def _run(cloud: LocalCloud) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with cloud:
        print(
            _READY.format(
                base_url=cloud.base_url, api_key=cloud.api_key, origin=cloud.origin, page=cloud.origin + PATH
            ),
            flush=True,
        )
        await stop.wait()
        cloud.log.say("stopping")
