"""The worker of the WebSocket API: it answers the messages of one lane. Lambda invokes it asynchronously, and never
again by itself: what a worker that died had begun may have been heard.
"""

import os
import time
from contextlib import suppress
from functools import cache, partial
from typing import Any, NotRequired, Protocol, TypedDict, cast

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "openresponses")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")

import asyncio
import json
from time import perf_counter

from .. import telemetry
from ..aws.invocations import start
from ..core.errors import ConnectionGone, KitError, Superseded
from ..socket.envelope import MAX_FRAME, About, Follow, Heir, Sent, heir_of
from ..socket.lane import House, LaneWorker, UseCases
from .compose import Deployment
from .connections import connections_at
from .local_aws import use_local_aws

MAX_FAILURES = 4
"""In a row, after which the connection is closed, since nobody tells its client more. To close it may fail as often."""


class LaneEvent(TypedDict):
    """A lane, and who is to hold it. Where an invocation failed, Lambda sends it on as `requestPayload`, if the
    function has a destination for that: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """

    tenant: str
    connection_id: str
    lane: str
    holder: str
    follow: NotRequired[Follow]


class Context(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: dict[str, Any], context: Context) -> None:
    failures = 0
    while "requestPayload" in event:  # the care for one that failed can fail, too
        event, failures = event["requestPayload"], failures + 1
    if failures > 2 * MAX_FAILURES:
        return
    lane = cast("LaneEvent", event)
    ends = time.time() + context.get_remaining_time_in_millis() / 1000
    began = perf_counter()
    line: dict[str, object] = {"tenant": lane["tenant"], "connection_id": lane["connection_id"], "lane": lane["lane"]}
    try:
        _runner.run(_replace(lane, failures) if failures else _work(lane, ends))
    except Exception as error:
        line["error"] = type(error).__name__
        if not isinstance(error, KitError):
            telemetry.crashed(lane["holder"], error)
        raise RuntimeError(f"{type(error).__name__} in a lane") from None  # its words may quote a conversation
    finally:
        telemetry.performed("lane", (perf_counter() - began) * 1000, line)


async def _work(event: LaneEvent, ends: float) -> None:
    tenant, connection_id = event["tenant"], event["connection_id"]
    deployment, sockets = _deployment(), _deployment().sockets(tenant, connection_id)
    about = await sockets.about()
    if about is None:
        return
    known: About = json.loads(about)

    def open_to(sent: Sent) -> UseCases:
        limits = sent["models"], sent.get("mcp", []), sent["reasoning"] or None
        return UseCases(*deployment.use_cases(tenant, sent["key_id"], *limits))

    async def invoke(heir: Heir) -> None:
        await _invoke(tenant, connection_id, heir)

    house = House(
        sockets=sockets,
        client=_connections(known["endpoint"]).of(connection_id),
        open_to=open_to,
        invoke=invoke,
        now=time.time,
        tenant=tenant,
        names=deployment.settings.event_names,
        limit=int(os.environ.get("OPENRESPONSES_SOCKET_FRAME_BYTES") or MAX_FRAME),
    )
    await LaneWorker(house, known, event["lane"], event["holder"], ends).work(event.get("follow"))


async def _replace(event: LaneEvent, failures: int) -> None:
    """Let another worker go on with the lane of one that failed. If the lane has been passed on already, who did so may
    have died before the heir was invoked.
    """
    tenant, connection_id, heir = event["tenant"], event["connection_id"], heir_of(event["holder"])
    if failures > MAX_FAILURES:
        await _hang_up(tenant, connection_id)
        return
    with suppress(Superseded):
        await _deployment().sockets(tenant, connection_id).pass_on(event["lane"], event["holder"], heir, died=True)
    await _invoke(tenant, connection_id, {"lane": event["lane"], "holder": heir})


async def _hang_up(tenant: str, connection_id: str) -> None:
    about = await _deployment().sockets(tenant, connection_id).about()
    if about is not None:
        known: About = json.loads(about)
        with suppress(ConnectionGone):
            await _connections(known["endpoint"]).of(connection_id).close()


async def _invoke(tenant: str, connection_id: str, heir: Heir) -> None:
    payload, clients = {"tenant": tenant, "connection_id": connection_id, **heir}, _deployment().clients
    assert clients is not None, "a WebSocket needs storage"
    await start(clients, os.environ["OPENRESPONSES_SOCKET_WORKER"], payload)


@cache
def _deployment() -> Deployment:
    return Deployment(os.environ)


use_local_aws(os.environ)
_region = os.environ.get("AWS_REGION", "us-east-1")
_connections = cache(partial(connections_at, os.environ, _region))
_runner = asyncio.Runner()
_deployment()
