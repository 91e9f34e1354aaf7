"""`openresponses keys limit`, and `tenants`: what keys and tenants may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from cyclopts import Group, Parameter

from openresponses.client_keys import ClientKey, check_tenant, parse
from openresponses.core.bill import PER_DOLLAR
from openresponses.core.storage import MAX_RUNNING, Limits
from openresponses.storage.dynamodb.client_keys import end_of, find_key, list_keys
from openresponses.storage.dynamodb.limits import change_limits, find_limits, limits_update
from openresponses_dev.local.limit_words import NONE, usd, words
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import Problem, as_problem, meant, translated

_WITHOUT_KEYS = ("jwt-", "iam-")
"""How the ids of those begin whom a token, or a signature of AWS, lets in. No key's does: it has no hyphen."""
_MOST = 10**12
"""Of requests and tokens, and of dollars: DynamoDB counts with 38 digits, and we with 12 behind the point."""


@Parameter(name="*", group=Group("Limits", help=f"Days and months are UTC's; {NONE} is no limit."))
@dataclass(frozen=True, slots=True)
class Asked:
    """Limits as they are typed. One that is not named stays as it is."""

    requests_per_minute: Annotated[str | None, Parameter(metavar="N", help="responses that begin")] = None
    tokens_per_minute: Annotated[str | None, Parameter(metavar="N", help="tokens read and said")] = None
    usd_per_day: Annotated[str | None, Parameter(metavar="X", help="US dollars, such as 2.50")] = None
    usd_per_month: Annotated[str | None, Parameter(metavar="X", help="US dollars")] = None
    concurrent: Annotated[str | None, Parameter(metavar="N", help=f"responses at once, {MAX_RUNNING} at most")] = None


def limit_key(
    key: Annotated[str, Parameter(help="its ID, as `keys list` or a log shows it, or the whole key")],
    /,
    *,
    tenant: Annotated[str | None, Parameter(help="of a caller without a key")] = None,
    asked: Asked = Asked(),
    where: Where = Where(),
) -> int:
    """A limit that is not named stays as it is."""
    deployment, token = deployment_at(where), parse(key)
    key_id = token.id if token else key.removeprefix("or_")
    owner = _owner(deployment, key_id, tenant)
    limits = _change(deployment, asked, owner, key_id)
    say(f"key {key_id} of tenant {owner}: {words(limits)}; in {deployment.title}, in force within 60 s")
    return 0


def _owner(deployment: Deployment, key_id: str, tenant: str | None) -> str:
    """The tenant of a key, or of a caller without one, whom nothing here knows."""
    if key_id.startswith(_WITHOUT_KEYS):
        if tenant is None:
            raise Problem(f"{key_id} is a caller without a key: name its tenant", "--tenant")
        with as_problem(ValueError):
            check_tenant(tenant)
        return tenant
    with translated("dynamodb"):
        found = find_key(deployment.client("dynamodb"), deployment.table, key_id)
    if found is None or tenant not in (None, found.tenant):
        of = f" of tenant {tenant}" if tenant else ""
        with translated("dynamodb"):
            known = [each.id for each in list_keys(deployment.client("dynamodb"), deployment.table)]
        near = "" if key_id in known else meant(key_id, known)
        raise Problem(f"there is no key {key_id}{of} in {deployment.title}{near}", deployment.command("keys list"))
    return found.tenant


def limit_tenant(
    tenant: Annotated[str, Parameter(help="all of its keys together")],
    /,
    *,
    asked: Asked = Asked(),
    where: Where = Where(),
) -> int:
    """A limit that is not named stays as it is."""
    with as_problem(ValueError):
        check_tenant(tenant)
    deployment = deployment_at(where)
    limits = _change(deployment, asked, tenant, None)
    say(f"tenant {tenant}: {words(limits)}; in {deployment.title}, in force within 60 s")
    return 0


def list_tenants(*, as_json: AsJson = False, where: Where = Where()) -> int:
    """Those that have keys."""
    deployment = deployment_at(where)
    with translated("dynamodb"):
        keys = Counter(key.tenant for key in list_keys(deployment.client("dynamodb"), deployment.table))
    tenants = sorted(keys)
    found = limits_of(deployment, [(tenant, None) for tenant in tenants])
    rows = [(tenant, str(keys[tenant]), words(each)) for tenant, each in zip(tenants, found, strict=True)]
    data = [
        {"tenant": tenant, "keys": keys[tenant], "limits": document_of(each)}
        for tenant, each in zip(tenants, found, strict=True)
    ]
    show(data, ("TENANT", "KEYS", "LIMITS"), rows, as_json=as_json)
    return 0


def limits_of(deployment: Deployment, owners: Sequence[tuple[str, str | None]]) -> list[Limits]:
    """Of keys (tenant, id), and of tenants (tenant, None). Raises Problem."""
    with translated("dynamodb"):
        return find_limits(deployment.client("dynamodb"), deployment.table, owners) if owners else []


def first_limits(key: ClientKey, limits: Limits) -> list[dict[str, Any]]:
    """What `store_key` writes besides a new key: nothing where nothing limits it."""
    return [] if limits == Limits() else [limits_update(key.tenant, key.id, limits, end_of(key))]


def limits_from(asked: Asked, before: Limits = Limits()) -> Limits:
    """Raises Problem, which names the option."""
    return Limits(
        requests_per_minute=_count(asked, "requests_per_minute", before.requests_per_minute),
        tokens_per_minute=_count(asked, "tokens_per_minute", before.tokens_per_minute),
        pico_per_day=_money(asked, "usd_per_day", before.pico_per_day),
        pico_per_month=_money(asked, "usd_per_month", before.pico_per_month),
        concurrent=_count(asked, "concurrent", before.concurrent, MAX_RUNNING),
    )


def document_of(limits: Limits) -> dict[str, int | str | None]:
    """By the names of the options; null is no limit."""
    return {
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "usd_per_day": usd(limits.pico_per_day),
        "usd_per_month": usd(limits.pico_per_month),
        "concurrent": limits.concurrent,
    }


def _change(deployment: Deployment, asked: Asked, tenant: str, key_id: str | None) -> Limits:
    if all(value is None for value in asdict(asked).values()):
        options = ", ".join(_option(each.name) for each in fields(Asked))
        raise Problem("name at least one limit", options)
    (before,) = limits_of(deployment, [(tenant, key_id)])
    limits = limits_from(asked, before)
    with translated("dynamodb"):
        change_limits(deployment.client("dynamodb"), deployment.table, tenant, key_id, limits)
    return limits


def count_of(text: str, most: int = _MOST) -> int:
    """Raises ValueError."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 13 or not 0 <= int(text) <= most:
        raise ValueError(f"a whole number from 0 to {most}")
    return int(text)


def pico_of(text: str) -> int:
    """Trillionths of a dollar. Raises ValueError."""
    try:
        amount = Decimal(text) if len(text) <= 26 else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST or (pico := amount * PER_DOLLAR) != int(pico):
        raise ValueError("US dollars, such as 2.50, 12 decimals at most")
    return int(pico)


def _count(asked: Asked, name: str, before: int | None, most: int = _MOST) -> int | None:
    return _limit(asked, name, before, lambda text: count_of(text, most))


def _money(asked: Asked, name: str, before: int | None) -> int | None:
    return _limit(asked, name, before, pico_of)


def _limit(asked: Asked, name: str, before: int | None, read: Callable[[str], int]) -> int | None:
    value: str | None = getattr(asked, name)
    if value in (None, NONE):
        return before if value is None else None
    try:
        return read(value)
    except ValueError as error:
        raise Problem(f"{_option(name)} {value}: {error}, or {NONE}") from None


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
