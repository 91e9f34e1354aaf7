"""`openresponses webhooks`: where events are sent. A signing secret is printed once, when it is made.

The table is written as the API writes it, with the deployment's sealing key: so these commands need no key of a client,
and work whatever the deployment lets in. Who may read the sealing key in the account can read the secrets anyway.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import UTC, datetime
from secrets import token_hex
from typing import Annotated

from cyclopts import Parameter

from openresponses.aws.parameters import SsmParameters
from openresponses.core.errors import DeliveryFailed, NotFound
from openresponses.core.webhooks import DeadLetter, Endpoint
from openresponses.routing.cipher import AeadSeal, kept_in
from openresponses.schema.limits import MAX_NAME, MAX_WEBHOOK_URL
from openresponses.schema.webhooks import EVENT_TYPES, EventType
from openresponses.transport.guard import Guard
from openresponses.webhooks.endpoints import StoredEndpoints, Told
from openresponses.webhooks.notify import WebhookPorts
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.at_rest import DeploymentAws, done, storage_of
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import Problem

SHOWN = 1_000
"""Events that were given up: as many are read."""
_OF_A_LETTER = ("endpoint_id", "event_type", "response_id", "created_at", "given_up_at", "reason")
Tenant = Annotated[str, Parameter(metavar="TENANT", help="whose responses it is told of")]
Id = Annotated[str, Parameter(help="of the endpoint, as `webhooks list` shows it")]


def create_endpoint(
    url: Annotated[str, Parameter(help="https, and public; of this machine too for the local cloud")],
    /,
    *,
    tenant: Tenant,
    events: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="TYPE",
            consume_multiple=1,
            help=f"several, also separated by commas (default: {', '.join(EVENT_TYPES)})",
        ),
    ] = (),
    name: Annotated[str, Parameter(metavar="TEXT", help="for your own list (default: the host)")] = "",
    where: Where = Where(),
) -> int:
    """Standard output is the secret and nothing else, so that it can be read into a variable."""
    types = [each for word in events for each in word.split(",")] or EVENT_TYPES
    if unknown := [each for each in types if each not in EVENT_TYPES]:
        raise Problem(f"{unknown[0]} is no type of an event", f"the types are {', '.join(EVENT_TYPES)}")
    if len(url) > MAX_WEBHOOK_URL or len(name) > MAX_NAME:
        raise Problem(f"a URL has at most {MAX_WEBHOOK_URL} characters, and a name {MAX_NAME}")
    deployment = deployment_at(where)
    stored = _endpoints(deployment, tenant)
    try:
        host = guard_of(deployment).check(url)
    except ValueError as why:
        raise Problem(f"the URL {why}") from None
    told = done(stored.create(name or host, url, types))
    _tell(told, deployment, tenant, "is made")
    return 0


def list_endpoints(*, tenant: Tenant, as_json: AsJson = False, where: Where = Where()) -> int:
    stored = _endpoints(deployment_at(where), tenant)

    async def read() -> tuple[list[Endpoint], list[DeadLetter]]:
        return await stored.listed(), await stored.dead(SHOWN)

    endpoints, letters = done(read())
    given_up = Counter(each.endpoint_id for each in letters)
    rows = [
        (
            *(each.id, each.name, each.url, " ".join(each.event_types), each.hint),
            *(_date(each.created_at), str(given_up[each.id])),
        )
        for each in endpoints
    ]
    data = [
        {
            "id": each.id,
            "name": each.name,
            "url": each.url,
            "event_types": list(each.event_types),
            "secret_hint": each.hint,
            "created_at": each.created_at,
            "given_up": given_up[each.id],
        }
        for each in endpoints
    ]
    show(data, ("ID", "NAME", "URL", "EVENTS", "SECRET", "CREATED", "GIVEN UP"), rows, as_json=as_json)
    return 0


def try_endpoint(
    endpoint: Id,
    /,
    *,
    tenant: Tenant,
    event: Annotated[EventType, Parameter(help="the type of the event")] = "response.completed",
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    begun = time.monotonic()

    async def tried() -> int:
        try:
            return await _endpoints(deployment, tenant).test(endpoint, event)
        except NotFound:
            raise _missing(deployment, tenant, endpoint) from None
        except DeliveryFailed as failure:
            raise Problem(f"{endpoint} did not take the event: {failure.message}") from None

    status = done(tried())
    say(f"{endpoint} answered in {time.monotonic() - begun:.2f} s with HTTP {status}")
    if not 200 <= status < 300:
        raise Problem("a delivery counts only with an answer of 2xx: this one would be tried again")
    return 0


def rotate_secret(
    endpoint: Id,
    /,
    *,
    tenant: Tenant,
    now: Annotated[bool, Parameter(help="the old secret is worth nothing at once, as after a leak")] = False,
    where: Where = Where(),
) -> int:
    """Standard output is the secret and nothing else."""
    deployment = deployment_at(where)

    async def rotated() -> Told:
        try:
            return await _endpoints(deployment, tenant).rotate(endpoint, keep_old=not now)
        except NotFound:
            raise _missing(deployment, tenant, endpoint) from None

    _tell(done(rotated()), deployment, tenant, "has a new secret" if now else "has a new secret beside the old one")
    return 0


def remove_endpoint(endpoint: Id, /, *, tenant: Tenant, where: Where = Where()) -> int:
    """What was not delivered to it is not tried again."""
    deployment = deployment_at(where)

    async def removed() -> None:
        try:
            await _endpoints(deployment, tenant).delete(endpoint)
        except NotFound:
            raise _missing(deployment, tenant, endpoint) from None

    done(removed())
    say(f"webhook {endpoint} of tenant {tenant} is removed from {deployment.title}")
    return 0


def list_dead(*, tenant: Tenant, as_json: AsJson = False, where: Where = Where()) -> int:
    letters = done(_endpoints(deployment_at(where), tenant).dead(SHOWN))
    rows = [
        (
            each.endpoint_id,
            each.event_type,
            each.response_id,
            _date(each.created_at),
            _date(each.given_up_at),
            each.reason,
        )
        for each in letters
    ]
    data = [{name: getattr(each, name) for name in _OF_A_LETTER} for each in letters]
    show(data, ("ENDPOINT", "EVENT", "RESPONSE", "ENDED", "GIVEN UP", "WHY"), rows, as_json=as_json)
    return 0


def _endpoints(deployment: Deployment, tenant: str) -> StoredEndpoints:
    """Raises Problem."""
    aws = DeploymentAws(deployment)
    storage = storage_of(deployment, tenant, aws)
    parameters = SsmParameters(aws, f"{deployment.prefix}/", time.monotonic, seconds=60, key=deployment.key_arn)
    ports = WebhookPorts(
        endpoints=storage.endpoints,
        seal=AeadSeal(kept_in(parameters), tenant),
        guard=guard_of(deployment),
        now=time.time,
        new_id=lambda: token_hex(16),
    )
    return StoredEndpoints(ports)


def guard_of(deployment: Deployment) -> Guard:
    """As its functions have it."""
    return Guard(loopback=deployment.local)


def _tell(told: Told, deployment: Deployment, tenant: str, what: str) -> None:
    say(f"webhook {told.endpoint.id} of tenant {tenant} in {deployment.title} {what}; shown only now:", sys.stderr)
    say(told.secret)


def _missing(deployment: Deployment, tenant: str, endpoint: str) -> Problem:
    mend = deployment.command(f"webhooks list --tenant {tenant}")
    return Problem(f"tenant {tenant} has no webhook {endpoint} in {deployment.title}", mend)


def _date(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
