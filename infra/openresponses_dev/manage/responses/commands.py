"""List them, show one, follow one, cancel one."""

from __future__ import annotations

import json
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from cyclopts.validators import Number

from openresponses.core.errors import NotFound
from openresponses.core.listing import ListedResponse, Wanted
from openresponses.durable.tail import require
from openresponses.responses.stored import StoredResponses
from openresponses.schema.events import StreamEvent
from openresponses.schema.response import ResponseStatus
from openresponses_dev.local.answer.plain import PlainView
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.at_rest import done
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.responses.shown import lines_of
from openresponses_dev.manage.responses.stored import DEFAULT_TENANT, Tenant, missing, responses_of

_PAGE = 100
_HEAD = ("RESPONSE", "STATUS", "SINCE", "MODEL", "TURNS", "IN", "OUT", "USD", "SECONDS")
_STOPPED = 130
T = TypeVar("T")


def list_responses(
    *,
    tenant: Tenant = DEFAULT_TENANT,
    status: Annotated[ResponseStatus | None, Parameter(help="only those")] = None,
    model: Annotated[str | None, Parameter(metavar="TARGET", help="as the list shows it")] = None,
    metadata: Annotated[tuple[str, ...], Parameter(metavar="KEY=VALUE", help="of several all must hold")] = (),
    limit: Annotated[int, Parameter(validator=Number(gte=1), help="how many at most")] = 20,
    as_json: AsJson = False,
    where: Where = Where(),
) -> int:
    """The newest first."""
    wanted = Wanted(status, model, dict(_pair(each) for each in metadata))
    responses, _ = responses_of(deployment_at(where), tenant)
    found = done(_newest(responses, wanted, limit))
    data = [each.model_dump(mode="json", by_alias=True) for each in found]
    show(data, _HEAD, map(_row, found), as_json=as_json)
    return 0


def show_response(
    response_id: Annotated[str, Parameter(help="as `responses list` shows it")],
    /,
    *,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
    where: Where = Where(),
) -> int:
    """What was asked, the turns with all that was tried for them, the calls, and what was answered."""
    deployment = deployment_at(where)
    responses, storage = responses_of(deployment, tenant)
    response = _of(responses.retrieve_timed(response_id), response_id, tenant, deployment)
    if as_json:
        say(response.model_dump_json(by_alias=True))
        return 0
    record = done(require(storage, response_id))
    asked = [each.model_dump(mode="json", by_alias=True) for each in record.input]
    say("\n".join(lines_of(response.model_dump(mode="json", by_alias=True), asked)))
    return 0


def tail_response(
    response_id: Annotated[str, Parameter(help="as `responses list` shows it")],
    /,
    *,
    after: Annotated[int, Parameter(metavar="N", help="begin after the event of this number")] = -1,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Annotated[bool, Parameter("--json", help="an event a line")] = False,
    where: Where = Where(),
) -> int:
    """Its events as they come, until it is over. What a model wrote is on standard output, the rest beside it."""
    deployment = deployment_at(where)
    responses, _ = responses_of(deployment, tenant)
    view = PlainView(sys.stdout, sys.stderr)

    async def tell(event: StreamEvent) -> None:
        shown = event.model_dump(mode="json", by_alias=True)
        if as_json:
            say(json.dumps(shown, ensure_ascii=False))
        else:
            view.show(shown)

    try:
        _of(responses.follow(response_id, after, tell, seconds=None), response_id, tenant, deployment)
    except KeyboardInterrupt:
        return _STOPPED
    finally:
        view.end()
    return 0


def cancel_response(
    response_id: Annotated[str, Parameter(help="as `responses list` shows it")],
    /,
    *,
    tenant: Tenant = DEFAULT_TENANT,
    where: Where = Where(),
) -> int:
    """One that is over stays as it is."""
    deployment = deployment_at(where)
    responses, storage = responses_of(deployment, tenant)
    before = _of(require(storage, response_id), response_id, tenant, deployment)
    ended = _of(responses.cancel(response_id), response_id, tenant, deployment)
    if before.over:
        say(f"{response_id} of tenant {tenant} was {ended.status} already, in {deployment.title}")
    else:
        say(f"{response_id} of tenant {tenant} is {ended.status} in {deployment.title}")
    return 0


async def _newest(responses: StoredResponses, wanted: Wanted, limit: int) -> list[ListedResponse]:
    found: list[ListedResponse] = []
    after: str | None = None
    while len(found) < limit:
        page = await responses.page(wanted, limit=min(_PAGE, limit - len(found)), order="desc", after=after)
        found += page.data
        after = page.last_id
        if not page.more or after is None:
            break
    return found


def _of(doing: Coroutine[Any, Any, T], response_id: str, tenant: str, deployment: Deployment) -> T:
    """Raises Problem."""

    async def found() -> T:
        try:
            return await doing
        except NotFound as error:
            raise missing(error, response_id, tenant, deployment) from None

    return done(found())


def _pair(given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if not equals or not key:
        raise Problem(f"--metadata {given}: not KEY=VALUE", "--metadata title=Invoices")
    return key, value


def _row(each: ListedResponse) -> tuple[str, ...]:
    usage = each.usage
    return (
        each.id,
        each.status,
        f"{datetime.fromtimestamp(each.created_at, UTC):%m-%d %H:%M}",
        each.target or each.model,
        "-" if each.turns is None else str(each.turns),
        str(usage.input_tokens) if usage else "-",
        str(usage.output_tokens) if usage else "-",
        each.cost.usd if each.cost else "-",
        "-" if each.seconds is None else f"{each.seconds:.1f}",
    )
