"""What a deployment has, of the sections that are asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from openresponses.client_keys import ClientKey, ended
from openresponses.core.storage import Limits
from openresponses.toolbox.source import is_backend
from openresponses_dev.local.seed import LOCAL_KEY, TENANT
from openresponses_dev.manage import parameters
from openresponses_dev.manage.at_rest import DeploymentAws, done, storage_of
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.keys import all_keys
from openresponses_dev.manage.limits import limits_of
from openresponses_dev.manage.mcp import server_of
from openresponses_dev.manage.models import targets_of
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.project.document import DEFAULT_TENANT
from openresponses_dev.manage.project.entries import (
    Document,
    Id,
    Section,
    key_document,
    limits_document,
    prompt_document,
    provider_document,
    server_document,
    tool_document,
)
from openresponses_dev.manage.provider_options import settings_of
from openresponses_dev.manage.tools import configured, function_of

KINDS: dict[Section, parameters.Kind] = {"providers": "providers", "mcp": "mcp", "tools": "tools", "aliases": "models"}
"""The sections that are kept as parameters."""
_READERS: dict[Section, Callable[[str, str], Document]] = {
    "providers": lambda name, text: provider_document(settings_of(name, text)),
    "mcp": lambda label, text: server_document(server_of(label, text)),
    "tools": lambda name, text: tool_document(configured(text) if is_backend(text) else function_of(name, text)),
    "aliases": lambda name, text: {"targets": [*targets_of(name, text)]},
}


@dataclass(frozen=True, slots=True)
class There:
    """An entry of the deployment. `document` is None for one that no function could read. By `stamp` one can tell
    whether it was changed: a parameter's text, the number of a prompt's newest version. A key is there by its `key`.
    """

    document: Document | None
    stamp: str = field(default="", repr=False)
    key: ClientKey | None = None


@dataclass(frozen=True, slots=True)
class State:
    """`others` are keys of the same tenant and name as another, newer one."""

    found: dict[Id, There]
    others: list[tuple[Id, ClientKey]] = field(default_factory=list[tuple[Id, ClientKey]])


def state_of(deployment: Deployment, sections: Collection[Section], tenants: Collection[str]) -> State:
    """`tenants` are asked for besides those that have keys. Raises Problem."""
    state = State({})
    for section, kind in KINDS.items():
        if section in sections:
            for each in parameters.read_all(deployment, kind):
                state.found[Id(section, each.name)] = There(document_of(section, each), each.text)
    if {"prompts", "tenants", "keys"} & {*sections}:
        keys = all_keys(deployment)
        known = sorted({DEFAULT_TENANT, *tenants, *(key.tenant for key in keys)})
        if "prompts" in sections:
            state.found.update(_prompts(deployment, known))
        if "tenants" in sections:
            limits = limits_of(deployment, [(tenant, None) for tenant in known])
            for tenant, each in zip(known, limits, strict=True):
                if each != Limits():
                    state.found[Id("tenants", tenant)] = There(limits_document(each))
        if "keys" in sections:
            _add_keys(deployment, state, keys)
    return state


def _add_keys(deployment: Deployment, state: State, keys: list[ClientKey]) -> None:
    """Of those that may still come in. The key of `dev` itself is nobody's to change."""
    now = time.time()
    alive = [each for each in keys if ended(each, now) is None and not (deployment.local and _is_devs(each))]
    limits = limits_of(deployment, [(each.tenant, each.id) for each in alive])
    for key, each in zip(alive, limits, strict=True):  # the newest first
        entry = Id("keys", key.name, key.tenant)
        if entry in state.found:
            state.others.append((entry, key))
        else:
            state.found[entry] = There(key_document(key, each), key=key)


def _is_devs(key: ClientKey) -> bool:
    return (key.tenant, key.name) == (TENANT, LOCAL_KEY)


def _prompts(deployment: Deployment, tenants: Collection[str]) -> Iterator[tuple[Id, There]]:
    aws = DeploymentAws(deployment)

    async def newest(tenant: str) -> list[tuple[Id, There]]:
        prompts = storage_of(deployment, tenant, aws).prompts
        names = [each.id for each in await prompts.listed()]
        found = await asyncio.gather(*map(prompts.find, names))
        return [
            (Id("prompts", name, tenant), There(prompt_document(each.body), str(each.version)))
            for name, each in zip(names, found, strict=True)
            if each
        ]

    async def all_of() -> list[list[tuple[Id, There]]]:
        return await asyncio.gather(*map(newest, tenants))

    for each in done(all_of()):
        yield from each


def document_of(section: Section, found: parameters.Parameter) -> Document | None:
    """None for what no function could read."""
    try:
        return _READERS[section](found.name, found.text)
    except (Problem, ValueError):
        return None
