"""What `dev` does with the project's file: at its start, and whenever the file changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from openresponses_dev.local.private_folder import NotPrivate, PrivateFolder, read_private
from openresponses_dev.local.project import PROJECT_FILE
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.project.difference import Change, difference, signed
from openresponses_dev.manage.project.doing import do
from openresponses_dev.manage.project.entries import SECTIONS, Id, Section, tenants_of
from openresponses_dev.manage.project.environment import variables_of
from openresponses_dev.manage.project.hints import hints
from openresponses_dev.manage.project.reading import read_file
from openresponses_dev.manage.project.state import state_of

APPLIED = "applied.json"
"""In `.openresponses/`: what the file declared before, by section, tenant and name. No value of it is kept."""


def apply_locally(folder: Path, url: str, say: Callable[[str], None]) -> None:
    """Bring the local cloud at `url` (`http://127.0.0.1:8080`, without /v1) to what `openresponses.toml` in `folder`
    says, with the variables of this process and of `.env`. It blocks, makes calls to `url`, and runs an event loop of
    its own: call it in a thread, and never twice at once for a folder.

    It removes only what the file had declared before. An entry whose variable is missing stays as it is. `say` is given
    one line for each warning, and for each thing that was done; that of a new key has the key, which nothing can show
    again. Nothing is said where nothing changed.

    Raises Problem alone: for a file that is missing or wrong (then nothing is changed, and `details` has a line for
    each mistake if there is more than one), for a local cloud that does not answer, for what cannot be kept in
    `.openresponses/`, and where a change fails (what was done before it stays).
    """
    wanted = read_file(folder / PROJECT_FILE, variables_of(folder), time.time(), leave_out=True)
    for entry, why in wanted.left_out.items():
        say(f"warning: {entry} is left out: {why}")
    private = PrivateFolder(folder)
    declared = _declared(private)
    deployment = deployment_at(Where(local=url))
    for each in hints(deployment, wanted, keeps=True):
        say(f"warning: {each}")
    sections: set[Section] = {*wanted.sections, *(each.section for each in declared)}
    state = state_of(deployment, sections, tenants_of((*wanted.wishes, *declared)))
    changes = difference(state, wanted, time.time(), lambda entry: entry in declared)
    _keep(private, {*declared, *wanted.wishes})  # before it is done: what is done, and not kept, would never be removed

    def told(change: Change, token: str) -> None:
        say(f"{signed(change)}, shown only now: {token}" if token else signed(change))

    do(deployment, changes, told)
    _keep(private, {*wanted.wishes, *(declared & wanted.left_out.keys())})


def _declared(private: PrivateFolder) -> set[Id]:
    """Empty where nothing was kept, or what was is of no use. Raises Problem."""
    try:
        kept = read_private(private.path / APPLIED)
        found = cast("list[list[str]]", kept["declared"])
        return {Id(section, name, tenant) for section, tenant, name in found if section in SECTIONS}
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return set()
    except (NotPrivate, OSError) as error:
        raise Problem(str(error)) from None


def _keep(private: PrivateFolder, entries: Iterable[Id]) -> None:
    rows = sorted([each.section, each.tenant, each.name] for each in entries)
    try:
        private.write(APPLIED, {"declared": rows})
    except (NotPrivate, OSError) as error:
        raise Problem(str(error)) from None
