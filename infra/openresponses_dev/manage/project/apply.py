"""`openresponses apply`: brings a deployment to what the project's file says.

The difference is shown first, on standard error; with --dry-run it is what the command is asked for, and is on standard
output. Otherwise that has the new keys alone, a line each.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from openresponses_dev.local.command_line import command
from openresponses_dev.local.project import PROJECT_FILE, find_project
from openresponses_dev.local.terminal import one_line, say, visible
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.output import AsJson
from openresponses_dev.manage.problems import Problem, warn
from openresponses_dev.manage.project.difference import Change, difference, documents, lines, title
from openresponses_dev.manage.project.doing import do
from openresponses_dev.manage.project.entries import tenants_of
from openresponses_dev.manage.project.environment import variables_of
from openresponses_dev.manage.project.hints import hints
from openresponses_dev.manage.project.reading import Wanted, read_file
from openresponses_dev.manage.project.state import state_of

CHANGES = 3
"""The exit status of --dry-run where something would change: 1 is for what goes wrong, 2 for words that are not
understood."""
_DONE = {"add": "added", "change": "changed", "remove": "removed"}


def apply(
    file: Annotated[Path | None, Parameter(help=f"default: {PROJECT_FILE} here, or in a folder above")] = None,
    /,
    *,
    yes: Annotated[bool, Parameter(help="remove and revoke without asking")] = False,
    dry_run: Annotated[
        bool, Parameter(help=f"show the difference alone: exit status {CHANGES} if there is one")
    ] = False,
    as_json: AsJson = False,
    where: Where = Where(),
) -> int:
    file = file or _file()
    now = time.time()
    wanted = read_file(file, variables_of(file.absolute().parent), now)
    deployment = deployment_at(where)
    changes = changes_of(deployment, wanted, now)
    if not as_json:
        _show(deployment, changes, wanted, dry_run=dry_run)
    if dry_run or not changes:
        if as_json:
            _tell(changes, [])
        return CHANGES if dry_run and changes else 0
    if not yes and _lost(changes):
        _ask(deployment, changes)
        if changes_of(deployment, wanted, now) != changes:
            raise Problem(f"{deployment.title} was changed meanwhile: nothing is done", "run this again")
    _apply(deployment, changes, as_json=as_json)
    return 0


def changes_of(deployment: Deployment, wanted: Wanted, now: float) -> list[Change]:
    """Raises Problem."""
    return difference(state_of(deployment, wanted.sections, tenants_of(wanted.wishes)), wanted, now)


def _file() -> Path:
    folder = find_project()
    if folder is None:
        raise Problem(f"there is no {PROJECT_FILE} here or in a folder above", command("init DIR"))
    return folder / PROJECT_FILE


def _show(deployment: Deployment, changes: Sequence[Change], wanted: Wanted, *, dry_run: bool) -> None:
    to = sys.stdout if dry_run else sys.stderr
    for each in hints(deployment, wanted):
        warn(each)
    for line in lines(changes):
        say(one_line(line), to)
    if not changes:
        say(f"nothing to change in {deployment.title}", sys.stdout)
    elif dry_run:
        say(f"{_count(changes, 'to be ')} in {deployment.title}", to)


def _lost(changes: Iterable[Change]) -> list[Change]:
    return [each for each in changes if each.action == "remove"]


def _ask(deployment: Deployment, changes: Sequence[Change]) -> None:
    """Raises Problem unless a person says yes."""
    if not sys.stdin.isatty():
        raise Problem(
            f"{len(_lost(changes))} would be removed from {deployment.title}, and nobody is here to be asked: "
            "nothing is done",
            "--yes, or run this in a terminal",
            [title(each) for each in _lost(changes)],
        )
    print(visible(f"Apply to {deployment.title}? [y/N] "), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Problem("nothing is done")


def _apply(deployment: Deployment, changes: Sequence[Change], *, as_json: bool) -> None:
    keys: list[dict[str, str]] = []
    finished: list[Change] = []

    def told(change: Change, token: str) -> None:
        finished.append(change)
        if not token:
            return
        keys.append({"name": change.entry.name, "tenant": change.entry.tenant, "key": token})
        if not as_json:
            say(f"{change.entry.name} {token}")

    try:
        do(deployment, changes, told)
    finally:
        if as_json:
            _tell(finished, keys)
        if finished:
            say(f"{_count(finished)} {deployment.soon}", sys.stderr)
    if keys and not as_json:
        say("each new key is shown only now, as NAME KEY on standard output", sys.stderr)
    if any(each.entry.section == "keys" and each.action != "add" for each in finished):
        say("of a key: in force when the gateway asks again (AuthorizerSeconds)", sys.stderr)


def _count(changes: Iterable[Change], before: str = "") -> str:
    counts = Counter(each.action for each in changes)
    return ", ".join(f"{counts[action]} {before}{word}" for action, word in _DONE.items() if counts[action])


def _tell(changes: list[Change], keys: list[dict[str, str]]) -> None:
    say(json.dumps({"data": documents(changes), "keys": keys}, ensure_ascii=False))
