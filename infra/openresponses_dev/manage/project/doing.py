"""Does the changes of a difference, one after the other. What somebody else changed meanwhile is not written over.

The Parameter Store has no conditional write but that of a new parameter
(https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html): one that is there, a prompt and
a tenant's limits are read once more right before they are written. A key is changed by a condition of the table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from openresponses.client_keys import ClientKey, ended, make, new_token
from openresponses.core.storage import Limits
from openresponses.schema.request import CreateResponse
from openresponses.storage.dynamodb.client_keys import (
    KeyChanged,
    UnknownKey,
    change_key,
    end_of,
    find_key,
    find_named,
    name_update,
    revoke_key,
    store_key,
)
from openresponses.storage.dynamodb.limits import change_limits, find_limits, limits_update
from openresponses_dev.manage import parameters
from openresponses_dev.manage.at_rest import done, storage_of
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.limits import first_limits, limits_of
from openresponses_dev.manage.problems import AwsRefused, Problem, as_problem, translated
from openresponses_dev.manage.project.difference import Change, title
from openresponses_dev.manage.project.entries import WEB_SEARCH, Document, limits_document
from openresponses_dev.manage.project.sections import limits_from_document
from openresponses_dev.manage.project.state import KINDS, document_of

Told = Callable[[Change, str], None]
"""Told of each change that is done; of a new key, with its token, which nobody can tell again."""


class _ChangedMeanwhile(Exception):
    """It is not as it was when the difference was made."""


def do(deployment: Deployment, changes: Sequence[Change], told: Told) -> None:
    """Stops at the first that fails. Raises Problem, which names what was not done."""
    for position, change in enumerate(changes):
        try:
            token = _do(deployment, change)
        except _ChangedMeanwhile:
            why, mend = (
                f"{change.entry} was changed by somebody else meanwhile",
                "run this again: it shows what is left",
            )
        except Problem as problem:
            why, mend = f"{change.entry}: {problem}", problem.mend or "run this again: it goes on"
        else:
            told(change, token)
            continue
        left = [title(each) for each in changes[position + 1 :]]
        raise Problem(why, mend, [f"not done either: {each}" for each in left])


def _do(deployment: Deployment, change: Change) -> str:
    """The token of a new key. Raises Problem, _ChangedMeanwhile."""
    match change.entry.section:
        case "providers" | "mcp" | "tools" | "aliases":
            _parameter(deployment, change)
        case "prompts":
            _prompt(deployment, change)
        case "tenants":
            _tenant(deployment, change)
        case "keys":
            return _key(deployment, change)
    return ""


def _parameter(deployment: Deployment, change: Change) -> None:
    entry, kind = change.entry, KINDS[change.entry.section]
    if change.before is not None:
        found = parameters.read(deployment, kind, entry.name)
        if (found.text if found else "") != change.before.stamp:
            return _expect(change, found)
    if change.after is None:
        parameters.delete(deployment, kind, entry.name)
        return None
    text, secret = json.dumps(change.after, ensure_ascii=False), entry == WEB_SEARCH
    try:
        parameters.write(deployment, kind, entry.name, text, secret=secret, new=change.before is None)
    except AwsRefused as refused:
        if refused.code != "ParameterAlreadyExists":
            raise
        _expect(change, parameters.read(deployment, kind, entry.name))


def _expect(change: Change, found: parameters.Parameter | None) -> None:
    """That somebody else did this change, and no other. Raises _ChangedMeanwhile."""
    if (document_of(change.entry.section, found) if found else None) != change.after:
        raise _ChangedMeanwhile


def _prompt(deployment: Deployment, change: Change) -> None:
    prompts = storage_of(deployment, change.entry.tenant).prompts

    async def write() -> None:
        name = change.entry.name
        newest = await prompts.find(name)
        if (str(newest.version) if newest else "") != (change.before.stamp if change.before else ""):
            raise _ChangedMeanwhile
        if change.after is None:
            await prompts.remove(name)
        else:
            await prompts.add(name, CreateResponse.model_validate(change.after))

    done(write())


def _tenant(deployment: Deployment, change: Change) -> None:
    tenant = change.entry.name
    (now,) = limits_of(deployment, [(tenant, None)])
    if limits_document(now) != (change.before.document if change.before else {}):
        raise _ChangedMeanwhile
    with translated("dynamodb"):
        change_limits(deployment.client("dynamodb"), deployment.table, tenant, None, _limits(change.after))


def _key(deployment: Deployment, change: Change) -> str:
    client, table = deployment.client("dynamodb"), deployment.table
    try:
        with translated("dynamodb"):
            if change.after is None:
                revoke_key(client, table, change.key.id if change.key else "", time.time())
            elif change.key is None:
                return _make_key(client, table, change)
            else:
                _change_key(client, table, change, change.key, change.after)
    except (KeyChanged, UnknownKey):
        raise _ChangedMeanwhile from None
    except AwsRefused as refused:
        if refused.code != "TransactionCanceledException":
            raise
        raise _ChangedMeanwhile from None
    return ""


def _make_key(client: Any, table: str, change: Change) -> str:
    token = new_token()
    key, limits = _made(token, change), _limits(change.after)
    known = find_named(client, table, key.tenant, key.name)
    found = find_key(client, table, known) if known else None
    if found and ended(found, time.time()) is None:
        raise _ChangedMeanwhile
    store_key(client, table, key, [name_update(key, known), *first_limits(key, limits)])
    return token


def _change_key(client: Any, table: str, change: Change, key: ClientKey, document: Document) -> None:
    (now,) = find_limits(client, table, [(key.tenant, key.id)])
    before = change.before.document if change.before else None
    if now != _limits(before):
        raise _ChangedMeanwhile
    models, mcp, expires = _permissions(document)
    changed = replace(key, models=models, mcp=mcp, reasoning=str(document.get("reasoning", "")), expires_at=expires)
    limits, end = _limits(document), end_of(changed)
    updates = (
        []
        if (now, end_of(key)) == (limits, end)
        else [limits_update(key.tenant, key.id, limits, end, lasting=end is None)]
    )
    change_key(client, table, key, changed, updates)


def _made(token: str, change: Change) -> ClientKey:
    document, now = change.after or {}, time.time()
    models, mcp, _ = _permissions(document)
    with as_problem(ValueError):
        return make(
            token,
            change.entry.tenant,
            now=now,
            name=change.entry.name,
            models=models,
            mcp=mcp,
            reasoning=str(document.get("reasoning", "")),
            expires_at=change.ends.of(int(now)),
        )


def _permissions(document: Document) -> tuple[tuple[str, ...], tuple[str, ...], int | None]:
    """Models, labels of MCP servers, and when it ends."""
    models, mcp = (tuple(cast("list[str]", document.get(field, []))) for field in ("models", "mcp"))
    return models, mcp, cast("int | None", document.get("expires"))


def _limits(document: Document | None) -> Limits:
    return limits_from_document(document or {})
