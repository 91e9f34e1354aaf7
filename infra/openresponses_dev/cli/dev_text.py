"""What `openresponses dev` prints when it is ready, and where another one is in its way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from openresponses_dev.local import neighbours
from openresponses_dev.local.address import DEV_URL
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.command_line import command
from openresponses_dev.local.gateway.listener import PortTaken
from openresponses_dev.local.kept import Kept
from openresponses_dev.local.private_folder import InUse, PrivateFolder
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.problems import fail

# Scripts and tests rely on the first two lines.
_READY = """\
export OPENAI_BASE_URL={base_url}
export OPENAI_API_KEY={api_key}

# Try, in another terminal, after these two lines:
curl -N $OPENAI_BASE_URL/responses -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H 'Content-Type: application/json' -d '{{"model": "offline/demo", "input": "Hello", "stream": true}}'
# or talk to it:    {chat}
# a real model:     {provider}
# Console:          {console}
"""


def ready(cloud: LocalCloud, project: Path | None, kept: Kept | None) -> None:
    """On standard output. Nothing stops if nobody reads that, or a full disk is behind it."""
    where = "--local" if cloud.origin == DEV_URL else f"--local {cloud.origin}"
    text = _READY.format(
        base_url=cloud.base_url,
        api_key=cloud.api_key,
        chat=command("chat"),
        provider=command(f"providers set openai {where}"),
        console=f"{cloud.origin}/#{cloud.api_key}",
    )
    more = {
        "WebSocketBaseUrl:": cloud.websocket_base_url,
        "Its template:": str(cloud.template.path),
        "Its project:": str(project or "") or _none(),
        "What it keeps:": f"{kept.path}: {cloud.found.told()}; --fresh forgets it" if kept else "",
    }
    lines = [f"# {name:<17} {what}" for name, what in more.items() if what]
    try:
        say(text + "\n".join(lines))
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter tries once more, and fails
        cloud.log.say(f"standard output cannot be written: {error.strerror}", failed=True)


def _none() -> str:
    """Empty in a folder with a template of its own, such as a copy of this repository."""
    return "" if Path("template.yaml").is_file() else f"none here; this makes one: {command('init mine')}"


def port_taken(error: PortTaken) -> int:
    """The exit status."""
    found = neighbours.at_port(error.port)
    if found is None:
        return fail(f"{error}: choose another with --port, or --port 0 for any")
    status = fail(f"port {error.port} is taken by {found}")
    say(f"  use that one: export OPENAI_BASE_URL={found.base_url}", sys.stderr)
    say(f"  or choose another port: {command('dev --port 0')}", sys.stderr)
    return status


def in_use(error: InUse, folder: PrivateFolder) -> int:
    """The exit status."""
    status = fail(error)
    if found := neighbours.in_folder(folder.path):
        say(f"  it is process {found.pid}: export OPENAI_BASE_URL={found.base_url}", sys.stderr)
    return status
