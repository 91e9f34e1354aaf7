"""What each function asks of AWS, seen by running it over moto, is what its role allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from openresponses.aws.clients import Aws, Refused
from openresponses.aws.functions import LambdaFunctions
from openresponses.aws.parameters import SsmParameters
from openresponses.client_keys import ClientKey
from openresponses.core import deltas as d
from openresponses.core.bill import Bill, Hold
from openresponses.core.chain import Joint, Link, response_link
from openresponses.core.errors import Superseded
from openresponses.core.ports import Ports, ToolOutput
from openresponses.core.run import Run
from openresponses.core.settings import Settings
from openresponses.core.storage import Limits, Want
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.responses.worker import Worker
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal, Box, kept_in, of_this_process
from openresponses.schema.events import StreamEvent
from openresponses.schema.request import CreateResponse
from openresponses.schema.server_items import ServerCall
from openresponses.schema.tools import HostedTool
from openresponses.schema.webhooks import EVENT_TYPES
from openresponses.socket.door import Arrived, Door
from openresponses.socket.envelope import Heir
from openresponses.storage.dynamodb.sockets import DynamoSockets, dynamo_sockets
from openresponses.toolbox.lambda_functions import LambdaTools
from openresponses.toolbox.mcp.servers import ConfiguredServers
from openresponses.tracing.headers import headers_in
from openresponses.transport.guard import Guard
from openresponses.webhooks.endpoints import StoredEndpoints
from openresponses.webhooks.notify import WebhookPorts
from openresponses.webhooks.outbox import Outbox
from openresponses.webhooks.outbox import Ports as Ended
from openresponses_dev.local.template.intrinsics import REGION
from tests.contract.sockets import Far
from tests.contract.storage_suite import BUCKET, TABLE, AwsBackend, new_batch, new_record, new_run, opened_aws, text
from tests.contract.test_storage_meters import NOON, bill, hold, want
from tests.template.reading import Json, grants
from tests.unit.kit import Ledger, Models, Script, Tools

LARGE = text(220_000)
"""Does not fit into an item."""
SETTINGS = Settings(inline_turns=1, history_events=1)
CALL = [
    d.Text("t", LARGE),
    d.ToolCall("c", '{"expression": "1"}', call_id="call_1", name="calculator"),
    d.Finish("stop"),
]
DONE = [d.Text("t", "done"), d.Finish("stop")]

# The action that allows an operation, where it has another name.
# https://docs.aws.amazon.com/service-authorization/latest/reference/
ACTIONS = {
    ("s3", "DeleteObjects"): "s3:DeleteObject",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("dynamodb", "TransactWriteItems"): "dynamodb:PutItem",  # all that is done in a transaction
}
KEY = {"pk": {"S": "key#k"}, "sk": {"S": "key"}}
PREFIXES = {"sfn": "states", "stepfunctions": "states"}


class LargeTools(Tools):
    async def call(self, call: ServerCall, run: Run) -> ToolOutput:
        return ToolOutput(LARGE)


async def nowhere(event: StreamEvent) -> None: ...


class Deployment:
    """One of everything, over moto; `asked` are the actions that AWS was asked for."""

    def __init__(self, backend: AwsBackend) -> None:
        backend.add_machine()
        self.backend, self.storage = backend, backend.storage()
        ids = iter(f"{n:032x}" for n in range(100))
        self.ports = Ports(
            models=Models(Script([CALL, CALL, DONE])),
            tools=LargeTools(),
            accounts=Ledger(),
            now=lambda: backend.time,
            new_id=lambda: next(ids),
            storage=self.storage,
        )
        self.new, self.stored = NewResponses(self.ports, SETTINGS), StoredResponses(self.ports)
        self.worker = Worker(self.ports, replace(SETTINGS, history_events=1_000))

    async def hand_off(self) -> str:
        """A response whose first call waits to be run."""
        request: dict[str, Any] = {"model": "m", "input": LARGE, "tools": [{"type": "serverless:calculator"}]}
        run, record = await self.new.accept(CreateResponse.model_validate({**request, "background": True}))
        await self.new.respond(run, record, nowhere, seconds=None, committed=lambda: False)
        return run.response.id

    async def count(self) -> None:
        """What a response does that holds something of limits. Whoever reads usage asks for no more."""
        meters, limits = self.storage.meters, Limits(concurrent=1)
        for id_ in ("key", None):
            await meters.limit(id_, limits)
        await meters.read("key", NOON)
        await meters.hold(want(1, hold("a")), limits, limits)
        assert await meters.settle(bill(1, hold("a")), stored=False)
        assert len(await meters.usage("2026-11-27", "2026-11-27")) == 1

    def asked(self) -> set[str]:
        found: set[str] = set()
        for call in self.backend.aws.calls:
            default = f"{PREFIXES.get(call.service, call.service)}:{call.operation}"
            found.add(ACTIONS.get((call.service, call.operation), default))
            if call.checks:
                found.add("dynamodb:ConditionCheckItem")
        self.backend.aws.forget()
        return found


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with opened_aws() as backend:
        yield Deployment(backend)
        assert all("/" in item["pk"]["S"] for item in backend.items()), "the roles reach no other partitions"


def allowed(resources: dict[str, Json], function: str) -> set[str]:
    """Of storage, and of the state machine."""
    return {
        action for action in grants(resources, f"{function}Role") if action.startswith(("dynamodb", "s3", "states"))
    }


LIST = {"s3:ListBucket"}
"""Also what makes S3 answer "there is no such object" and not "forbidden", which no call can show here."""
CHECK = {"dynamodb:ConditionCheckItem"}
"""Of an item that a transaction does not write. ACTIONS does not tell it from the others that a transaction asks."""


async def test_the_api_function_needs_all_it_may_do(deployment: Deployment, resources: dict[str, Json]) -> None:
    response_id = await deployment.hand_off()
    await deployment.storage.log.append(response_id, new_batch(1, LARGE, first=2))
    await deployment.stored.cancel(response_id)
    chunk = Link(level=1, first=response_id, last=response_id, expires=deployment.backend.time)
    assert await deployment.storage.store.join(Joint(0, [response_link(response_id)], chunk), [])
    await deployment.stored.delete(response_id)
    await deployment.storage.spent.spend(["mcpr_1"], response_id)
    await deployment.storage.spent.give_back(["mcpr_1"], response_id)
    await deployment.count()
    assert deployment.asked() | CHECK == allowed(resources, "ApiFunction")


async def test_the_worker_function_needs_all_it_may_do(deployment: Deployment, resources: dict[str, Json]) -> None:
    """One response is done in two executions, one is given up."""
    done, given_up = await deployment.hand_off(), await deployment.hand_off()
    deployment.asked()
    ends = deployment.backend.time + 900
    hasty = Worker(deployment.ports, replace(SETTINGS, turn_seconds=1_000))
    assert (await hasty.work(done, 0, ends))["step"] == "renewed"
    assert (await deployment.worker.work(done, 1, ends))["step"] == "over"
    await deployment.worker.settle(given_up, "StorageUnavailable", "{}")
    asked = deployment.asked()
    for response_id in (done, given_up):
        (record,) = await deployment.storage.store.load([response_id])
        assert record
        with pytest.raises(Superseded):  # it is over
            await deployment.storage.store.settle(record.response, [])
    await deployment.count()
    assert asked | deployment.asked() | LIST | CHECK == allowed(resources, "WorkerFunction")


def sockets_of(backend: AwsBackend) -> DynamoSockets:
    return dynamo_sockets(
        backend.aws,
        table=TABLE["TableName"],
        bucket=BUCKET,
        tenant="tenant",
        connection_id="L0SM9cOFvHcCIhw=",
        box_of=partial(Box, of_this_process()),
        now=lambda: backend.time,
    )


async def test_the_function_that_takes_messages_needs_all_it_may_do(
    deployment: Deployment, resources: dict[str, Json]
) -> None:
    """One message is too large for an item, as not even all that API Gateway lets through are."""
    ids = map(str, range(100))

    async def find(key_id: str) -> ClientKey | None:
        await deployment.backend.aws.call("dynamodb", "get_item", TableName=TABLE["TableName"], Key=KEY)
        return ClientKey(key_id, "", "tenant")

    async def invoke(heir: Heir) -> None: ...

    door = Door(sockets_of(deployment.backend), Far(), find, invoke, lambda: deployment.backend.time, lambda: next(ids))
    await door.connect({"connected": deployment.backend.time, "endpoint": "https://x/responses", "names": ""})
    for said in ("hello", LARGE):
        message = json.dumps({"type": "response.create", "model": "m", "input": said})
        assert await door.take(Arrived("c", next(ids), "tenant", "k", deployment.backend.time, message)) != "full"
    await door.disconnect()
    assert deployment.asked() == allowed(resources, "SocketFunction")


async def test_the_worker_of_sockets_needs_all_it_may_do(deployment: Deployment, resources: dict[str, Json]) -> None:
    """It answers two messages of a lane: the second goes on from a response that it has handed over."""
    sockets, now = sockets_of(deployment.backend), deployment.backend.time
    await sockets.open(b"{}")
    for message_id in ("m1", "m2"):
        await sockets.add("", message_id, LARGE.encode(), "holder")
    deployment.asked()
    await sockets.begin("", "holder", resumes=False)
    await sockets.next("", "holder")
    before = await deployment.hand_off()
    await deployment.stored.follow(before, 0, nowhere, seconds=0.1)
    await sockets.settle("", "holder", before, LARGE.encode())
    await sockets.next("", "holder")
    asked = deployment.asked()
    assert (await deployment.worker.work(before, 0, now + 900))["step"] == "over"
    deployment.asked()
    request = CreateResponse.model_validate({"model": "m", "input": "hello", "previous_response_id": before})
    await deployment.new.accept(request)
    await deployment.count()
    asked |= deployment.asked()
    assert asked | LIST | CHECK == allowed(resources, "SocketWorkerFunction")


async def test_the_function_behind_the_stream_needs_all_it_may_do(
    deployment: Deployment, resources: dict[str, Json]
) -> None:
    """One bill is owed, of a response that held something; the event goes to an endpoint that does not take it, and is
    given up. Lambda itself reads the stream with this role.
    """
    backend, storage = deployment.backend, deployment.storage
    run, record = new_run(1), new_record(1)
    hold = Hold(id="a", at=backend.time, until=backend.time + 900)
    bill = Bill(response_id=run.response.id, key_id="k", day="2026-11-27", hold=hold)
    await storage.store.create(record, run)
    await storage.meters.limit("k", Limits(concurrent=1))
    await storage.meters.hold(Want(bill.response_id, "k", hold, first=True), Limits(concurrent=1), Limits())
    await storage.store.settle(run.response.model_copy(update={"status": "completed"}), [], bill=bill)
    webhooks = WebhookPorts(
        endpoints=storage.endpoints,
        seal=AeadSeal(of_this_process(), "tenant"),
        guard=Guard(loopback=True),
        now=lambda: backend.time,
        new_id=lambda: "0" * 32,
    )
    await StoredEndpoints(webhooks).create("mine", "http://127.0.0.1:9/", EVENT_TYPES)
    deployment.asked()
    ports = Ended(storage.meters, webhooks, partial(start_of, backend.aws))
    outbox = Outbox(lambda _: ports, lambda where, error: pytest.fail(f"{where}: {error!r}"))
    key = {"pk": {"S": f"tenant/{bill.response_id}"}, "sk": {"S": "record"}}
    image = {**key, "status": {"S": "completed"}, "owed": {"S": bill.model_dump_json()}}
    change = {"NewImage": image, "SequenceNumber": "1", "ApproximateCreationDateTime": backend.time}
    assert await outbox.take([{"dynamodb": change}]) == []
    ended = {"response_id": bill.response_id, "status": "completed", "ended_at": int(backend.time)}
    await outbox.give_up({"tenant": "tenant", "endpoint_id": f"we_{'0' * 32}", "ended": ended})
    of_lambda = {f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}
    in_a_transaction = {"dynamodb:UpdateItem"}  # and nothing that is only checked
    assert (deployment.asked() - CHECK) | in_a_transaction | of_lambda == allowed(resources, "EndedFunction")


async def start_of(aws: Aws, name: str, told: str) -> None:
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:loop"
    await aws.call("stepfunctions", "start_execution", stateMachineArn=machine, name=name, input=told)


class ReadingAws(Aws):
    """An empty Parameter Store. `asked` are the names by action, as a policy names them."""

    def __init__(self) -> None:
        super().__init__(REGION)
        self.asked: dict[str, set[str]] = {}

    async def call(self, service: Any, operation: str, /, **parameters: object) -> Json:
        action = f"{service}:{''.join(map(str.capitalize, operation.split('_')))}"
        self.asked.setdefault(action, set()).add(str(parameters.get("Path") or parameters["Name"]))
        if operation == "get_parameter":
            raise Refused("ParameterNotFound", "", {})
        return {"Parameters": []}


async def test_each_function_may_read_its_configuration_as_it_does_and_no_other_way(resources: dict[str, Json]) -> None:
    aws = ReadingAws()
    parameters = SsmParameters(aws, "${Prefix}/", lambda: 0.0, seconds=60)
    await Catalog(parameters).listed()
    await LambdaTools(parameters, LambdaFunctions(REGION)).offer(HostedTool(type="serverless:weather"))
    await ConfiguredServers(parameters).find("docs")
    await headers_in(parameters)
    await kept_in(parameters)()
    for function in ("ApiFunction", "WorkerFunction", "SocketWorkerFunction"):
        assert readable(resources, function) == aws.asked
    sealing = ReadingAws()
    await kept_in(SsmParameters(sealing, "${Prefix}/", lambda: 0.0, seconds=60))()
    assert readable(resources, "SocketFunction") == sealing.asked


def readable(resources: dict[str, Json], function: str) -> dict[str, set[str]]:
    """The names of parameters by action."""
    return {
        action: {resource.partition(":parameter")[2].removesuffix("/*") for resource in told.split(", ")}
        for action, told in grants(resources, f"{function}Role").items()
        if action.startswith("ssm:")
    }
