"""A tenant's responses, reached from here by the code that the functions use."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any, cast

from cyclopts import Parameter

from openresponses.core.accounts import Account, CallAccount
from openresponses.core.errors import NotFound
from openresponses.core.ports import Models, Ports, Tools
from openresponses.core.storage import Storage
from openresponses.responses.stored import StoredResponses
from openresponses_dev.manage.at_rest import storage_of
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.problems import Problem

Tenant = Annotated[str, Parameter(metavar="TENANT", help="whose responses")]
DEFAULT_TENANT = "default"


class _Unlogged:
    """The log is the functions'. What a response took is billed all the same."""

    async def record(self, account: Account) -> None:
        pass

    async def called(self, account: CallAccount) -> None:
        pass


class _Absent:
    """Nothing here asks a model, or calls a tool."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


def responses_of(deployment: Deployment, tenant: str) -> tuple[StoredResponses, Storage]:
    """Raises Problem for what is no name of a tenant."""
    storage = storage_of(deployment, tenant)
    ports = Ports(
        models=cast("Models", _Absent()),
        tools=cast("Tools", _Absent()),
        accounts=_Unlogged(),
        now=time.time,
        new_id=lambda: secrets.token_hex(16),
        storage=storage,
    )
    return StoredResponses(ports), storage


def missing(error: NotFound, response_id: str, tenant: str, deployment: Deployment) -> Problem:
    """What `error` means to who named a response."""
    if error.code not in ("response_not_found", None):
        return Problem(error.message)
    mend = deployment.command(f"responses list --tenant {tenant}")
    return Problem(f"tenant {tenant} has no response {response_id} in {deployment.title}", mend)
