"""What a local cloud finds of the one before it: how much there is, and which responses go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from openresponses.aws.launcher import execution_of
from openresponses_dev.local.kept import Row
from openresponses_dev.local.services.local_aws import LocalAws

_FOLDERS = {"providers": "provider", "models": "alias", "tools": "tool", "mcp": "MCP server"}
"""Of parameters, and what each one in it is."""
_RECORDS = {"resp": "response", "conv": "conversation"}
_PLURALS = {"alias": "aliases"}


_IN_PROGRESS = ("queued", "in_progress")


class Found:
    """What was kept of a deployment. `prefix` is of its parameters; `table` has its responses, and `storage/dynamodb`
    says how. `unfinished` are tenants and responses that go on.
    """

    def __init__(self, prefix: str, table: str) -> None:
        self._prefix, self._table = prefix, table
        self._counts = dict.fromkeys(("key", *_FOLDERS.values(), *_RECORDS.values()), 0)
        self.unfinished: list[tuple[str, str]] = []

    def add(self, row: Row) -> None:
        kind, place, name = row.key
        if kind == "parameter" and name.startswith(f"{self._prefix}/"):
            folder, _, below = name.removeprefix(f"{self._prefix}/").partition("/")
            if below and folder in _FOLDERS:
                self._counts[_FOLDERS[folder]] += 1
        elif kind == "item" and place == self._table:
            self._add_item(row, *(str(part.get("S", "")) for part in json.loads(name)))

    def told(self) -> str:
        """In words: `2 keys, 1 provider`."""
        counts = {kind: count for kind, count in self._counts.items() if count}
        texts = [f"{count} {kind if count == 1 else _PLURALS.get(kind, f'{kind}s')}" for kind, count in counts.items()]
        goes_on = [f"{len(self.unfinished)} of them in progress"] if self.unfinished else []
        return ", ".join([*texts, *goes_on]) or "nothing yet"

    def _add_item(self, row: Row, pk: str, sk: str) -> None:
        tenant, _, owner = pk.partition("/")
        record = _RECORDS.get(owner.partition("_")[0])
        if pk == "keys":
            self._counts["key"] += 1
        elif sk == "record" and record:
            self._counts[record] += 1
            if json.loads(row.about).get("status", {}).get("S") in _IN_PROGRESS:
                self.unfinished.append((tenant, owner))


async def go_on_all(aws: LocalAws, state_machine: str, found: Found, say: Callable[[str], None]) -> None:
    """All that is unfinished. `say` is told of what can't go on."""
    if not found.unfinished:
        return
    client = await asyncio.to_thread(aws.client, "stepfunctions")
    for tenant, response_id in found.unfinished:
        try:
            await asyncio.to_thread(go_on, client, state_machine, tenant, response_id)
        except Exception as error:  # the next one may yet go on
            say(f"{response_id} does not go on: {type(error).__name__}: {error}")


def go_on(client: Any, state_machine: str, tenant: str, response_id: str) -> None:
    """Start the state machine for a response whose worker ended with the local cloud, inline or not. `client` is of
    Step Functions. A run of a later generation has an execution of its own, which the worker then starts.
    """
    client.start_execution(stateMachineArn=state_machine, **execution_of(tenant, response_id, 0))
