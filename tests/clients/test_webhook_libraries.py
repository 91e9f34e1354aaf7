"""What other libraries than the Python SDK say of the events that we sign: the reference library, and JavaScript's."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from openresponses.webhooks.events import Ended, event_of
from openresponses.webhooks.signing import new_secret, signed
from tests.clients.conftest import BUILD
from tests.clients.test_clients import BEFORE, SCRIPTS
from tests.npm import npm_install

STATUSES = ("completed", "failed", "incomplete", "cancelled")


def messages() -> list[tuple[dict[str, object], str]]:
    """What a receiver has got, and what it must say of it."""
    found = list[tuple[dict[str, object], str]]()
    now, (old, new, foreign) = time.time(), (new_secret(), new_secret(), new_secret())
    for number, status in enumerate(STATUSES):
        event = event_of(Ended(f"resp_{number:032x}", status, int(now)))
        assert event
        body, headers = event.body.decode(), dict(signed([new, old], event.id, event.body, now))
        for secret, said in ((new, event.type), (old, event.type), (foreign, "refused")):
            found.append(({"body": body, "headers": headers, "secret": secret}, said))
        for altered in (body.replace("resp_0", "resp_1"), body + " "):
            found.append(({"body": altered, "headers": headers, "secret": new}, "refused"))
        for at in (now - 400, now + 400):
            late = dict(signed([new], event.id, event.body, at))
            found.append(({"body": body, "headers": late, "secret": new}, "refused"))
    return found


@pytest.mark.clients
@pytest.mark.timeout(500)
@pytest.mark.parametrize("script", ["hook_standardwebhooks.py", "hook_openai.mjs"])
def test_another_library_accepts_what_we_sign_and_refuses_the_rest(script: str) -> None:
    asked = messages()
    lines = "\n".join(json.dumps(message) for message, _ in asked)
    told = subprocess.run(command(script), input=lines, check=True, capture_output=True, text=True, timeout=300).stdout
    assert told.split() == [said for _, said in asked]


def command(script: str) -> list[str]:
    if script.endswith(".py"):
        return ["uv", "run", "--quiet", "--exclude-newer", BEFORE, "--script", str(SCRIPTS / script)]
    folder: Path = BUILD / "node"
    npm_install(folder, files=[SCRIPTS / "package.json", *SCRIPTS.glob("*.mjs")])
    return ["node", str(folder / script)]
