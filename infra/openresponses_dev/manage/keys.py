"""`openresponses keys`: who may call. A key is printed once, when it is made, and kept nowhere."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Literal

from cyclopts import Parameter

from openresponses.client_keys import ClientKey, make, new_token, parse
from openresponses.storage.dynamodb.client_keys import UnknownKey, list_keys, revoke_key, store_key
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.limits import Asked, document_of, first_limits, limits_from, limits_of, words
from openresponses_dev.manage.offered import offered_by
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import Problem, as_problem, meant, translated, warn

_SPAN = re.compile(r"([1-9][0-9]{0,5})([hdwy])")
_SECONDS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}


def create_key(
    *,
    tenant: Annotated[str, Parameter(metavar="TENANT", help="whose responses it reads and writes")],
    name: Annotated[str, Parameter(metavar="TEXT", help="for your own list")] = "",
    models: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="PATTERN", consume_multiple=1, help="provider/model, alias, or openai/*; several (default: all)"
        ),
    ] = (),
    mcp: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="LABEL",
            consume_multiple=1,
            help="of the deployment's MCP servers, or docs-*; several, also docs,github (default: all, and any other)",
        ),
    ] = (),
    expires: Annotated[str | None, Parameter(metavar="SPAN", help="such as 12h, 90d, 8w, 1y (default: never)")] = None,
    reasoning: Annotated[
        Literal["summary", "encrypted"] | None,
        Parameter(help="the most that is shown of a model's reasoning (default: all)"),
    ] = None,
    asked: Asked = Asked(),
    where: Where = Where(),
) -> int:
    """Standard output is the key and nothing else, so that it can be read into a variable."""
    limits = limits_from(asked)
    deployment = deployment_at(where)
    now, token = time.time(), new_token()
    with as_problem(ValueError):
        key = make(
            token,
            tenant,
            now=now,
            name=name,
            models=models,
            mcp=[label for word in mcp for label in word.split(",")],
            reasoning=reasoning or "",
            expires_at=_end(expires, now),
        )
    with translated("dynamodb"):
        store_key(deployment.client("dynamodb"), deployment.table, key, first_limits(key, limits))
    if key.models or key.mcp:
        for what, mend in offered_by(deployment).unserved(key.models, key.mcp):
            warn(f"{what} ({deployment.command(mend)})")
    ends = f"until {_date(key.expires_at)}" if key.expires_at else "until it is revoked"
    say(f"key {key.id} of tenant {key.tenant} in {deployment.title}, {ends}; shown only now:", sys.stderr)
    say(token)
    return 0


def show_keys(*, as_json: AsJson = False, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    keys = all_keys(deployment)
    now, limits = time.time(), limits_of(deployment, [(key.tenant, key.id) for key in keys])
    rows = [(*_row(key, now), words(each)) for key, each in zip(keys, limits, strict=True)]
    data = [{**_document(key, now), "limits": document_of(each)} for key, each in zip(keys, limits, strict=True)]
    head = ("ID", "TENANT", "NAME", "MODELS", "MCP", "REASONING", "CREATED", "EXPIRES", "STATE", "LIMITS")
    show(data, head, rows, as_json=as_json)
    return 0


def revoke(
    key: Annotated[str, Parameter(help="its ID, as `keys list` shows it, or the whole key")],
    /,
    *,
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    token = parse(key)
    key_id = token.id if token else key.removeprefix("or_")
    try:
        with translated("dynamodb"):
            revoke_key(deployment.client("dynamodb"), deployment.table, key_id, time.time())
    except UnknownKey:
        near = meant(key_id, [each.id for each in all_keys(deployment)])
        raise Problem(
            f"there is no key {key_id} in {deployment.title}{near}", deployment.command("keys list")
        ) from None
    say(f"key {key_id} is revoked in {deployment.title}, in force when the gateway asks again (AuthorizerSeconds)")
    return 0


def all_keys(deployment: Deployment) -> list[ClientKey]:
    """Raises Problem."""
    with translated("dynamodb"):
        return list_keys(deployment.client("dynamodb"), deployment.table)


def state(key: ClientKey, now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "valid"


def _end(span: str | None, now: float) -> float | None:
    if span is None:
        return None
    if (seconds := seconds_of(span)) is None:
        raise Problem(f"--expires {span}: a number and h, d, w or y, such as 90d")
    return now + seconds


def seconds_of(span: str) -> int | None:
    """Of a text such as 90d; None for what is none."""
    found = _SPAN.fullmatch(span)
    return int(found[1]) * _SECONDS[found[2]] if found else None


def _document(key: ClientKey, now: float) -> dict[str, object]:
    """Without what tells a key from another than its id. A list that is null allows all."""
    return {
        "id": key.id,
        "tenant": key.tenant,
        "name": key.name or None,
        "models": list(key.models) or None,
        "mcp": list(key.mcp) or None,
        "reasoning": key.reasoning or "all",
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "state": state(key, now),
    }


def _row(key: ClientKey, now: float) -> tuple[str, ...]:
    models, mcp, reasoning = " ".join(key.models) or "all", " ".join(key.mcp) or "all", key.reasoning or "all"
    dates = _date(key.created_at), _date(key.expires_at) if key.expires_at else "never"
    return (key.id, key.tenant, key.name or "-", models, mcp, reasoning, *dates, state(key, now))


def _date(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
