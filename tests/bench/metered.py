"""The local cloud, with a meter at its AWS services, its functions and its log."""

from __future__ import annotations

import asyncio
import base64
import copy
import io
import json
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx2
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.calls import Call
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.seed import Providers
from openresponses_dev.local.services import moto_server
from openresponses_dev.local.services.executions import Execution
from openresponses_dev.local.template.intrinsics import ACCOUNT, REGION
from tests.bench.sandbox import API_KEY, REPO

PATIENCE_S = 300
Item = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Of a log: the numbers of its first and last event, the bytes that they are packed in, and its write units."""

    first: int
    last: int
    packed: int
    units: float


@dataclass(frozen=True, slots=True)
class AwsCall:
    """A call of a service. `told` is all of its request, to find names in; `written` are DynamoDB's write units."""

    service: str
    operation: str
    began: float
    ended: float
    told: str
    request: Any
    written: float = 0
    answer: bytes = field(default=b"", repr=False)

    @property
    def read(self) -> float:
        """Read units: counted when asked for, since a reader would wait for it."""
        return read_units(self.operation, self.request, self.answer)

    def log_batch(self) -> Batch | None:
        """What this writes to a log, if it writes events to one: alone, or with the response that it creates."""
        puts: list[Item] = [each.get("Put", {}).get("Item", {}) for each in self.request.get("TransactItems", ())]
        items: list[Item] = [self.request.get("Item", {})] if self.operation == "PutItem" else puts
        item = next((item for item in items if "first" in item), None)
        if item is None:
            return None
        units = _writes(size(item)) * (2 if puts else 1)
        return Batch(int(item["first"]["N"]), int(item["last"]["N"]), len(item["events"]["B"]) * 3 // 4, units)


@dataclass(frozen=True, slots=True)
class Invocation:
    call: Call
    payload: str

    @property
    def ms(self) -> float:
        assert self.call.ended is not None, "it still runs"
        return (self.call.ended - self.call.started) * 1e3


@dataclass
class Meter:
    """All that was called so far."""

    calls: list[AwsCall] = field(default_factory=list[AwsCall])
    invocations: list[Invocation] = field(default_factory=list[Invocation])
    lines: list[int] = field(default_factory=list[int])
    """The lengths of what the functions printed."""
    hold: float = 0.0
    """Seconds that every answer takes longer: what is asked for side by side then overlaps, however slow moto is."""

    def wrap(self, app: Any) -> Callable[..., Iterable[bytes]]:
        def metered(environ: Any, start_response: Any) -> Iterable[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            service, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
            told = f"{environ.get('PATH_INFO')} {body.decode('utf-8', 'replace')}"
            request: Any = json.loads(body) if service else {}
            before = _stored(request) if operation == "UpdateItem" else {}
            began = time.monotonic()
            answer = b"".join(app(environ, start_response))
            time.sleep(self.hold)
            ended = time.monotonic()
            written = write_units(operation, request, before)
            name = service.partition("_")[0] or "S3"
            operation = operation or environ["REQUEST_METHOD"]
            self.calls.append(AwsCall(name, operation, began, ended, told, request, written, answer))
            return [answer]

        return metered

    def watch(self, function: Function) -> None:
        invoke = function.invoke

        def watched(payload: bytes, trace_id: str | None = None) -> Call:
            call = invoke(payload, trace_id)
            self.invocations.append(Invocation(call, payload.decode()))
            return call

        setattr(function, "invoke", watched)  # noqa: B010

    def of(self, name: str, since: float = 0.0, until: float = math.inf) -> list[AwsCall]:
        """The calls that name `name`, in the order in which they began."""
        found = [call for call in self.calls if name in call.told and call.began >= since and call.ended <= until]
        return sorted(found, key=lambda call: call.began)


class MeteredLog(Log):
    def __init__(self, meter: Meter) -> None:
        super().__init__(None)
        self._meter = meter

    def output(self, function: str, line: str) -> None:
        self._meter.lines.append(len(line.encode()))


class MeteredCloud(LocalCloud):
    """The template's."""

    def __init__(self, providers: Providers) -> None:
        self.meter = Meter()
        log = MeteredLog(self.meter)
        super().__init__(REPO / "template.yaml", providers=providers, api_key=API_KEY, concurrency=50, log=log)
        for function in self.functions.values():
            self.meter.watch(function)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[httpx2.AsyncClient, None]:
        """A client of its API."""
        made: Any = moto_server.DomainDispatcherApplication

        def metered(create: Any) -> Any:
            return self.meter.wrap(made(create))

        with patch.object(moto_server, "DomainDispatcherApplication", metered):
            await self.__aenter__()
        query, Table.query = Table.query, _query_partition(Table.query)
        try:
            headers = {"authorization": f"Bearer {API_KEY}"}
            async with httpx2.AsyncClient(base_url=self.base_url, headers=headers, timeout=PATIENCE_S) as http:
                yield http
        finally:
            await self.__aexit__(None, None, None)
            Table.query = query

    async def executed(self, name: str) -> Execution:
        """The execution, once it is over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [each for each in self.aws.executions() if each.name == name]
                if found and found[0].stopped is not None:
                    assert found[0].status == "SUCCEEDED", found[0]
                    return found[0]
                await asyncio.sleep(0.01)

    async def transitions(self, execution: Execution) -> int:
        """As AWS bills them: every state entered, and the start. The executions here see no retries."""
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{execution.state_machine}:{execution.name}"
        sfn = self.aws.client("stepfunctions")

        def count() -> int:
            pages = sfn.get_paginator("get_execution_history").paginate(executionArn=arn)
            return 1 + sum(event["type"].endswith("StateEntered") for page in pages for event in page["events"])

        return await asyncio.to_thread(count)

    def at_rest(self, response_id: str) -> dict[str, int]:
        """Bytes of the items of a response, by the first part of their sort key, with DynamoDB's 100 for each."""
        sizes: dict[str, int] = {}
        for table in dynamodb_backends[ACCOUNT][REGION].tables.values():
            for item in table.all_items():
                attributes: Item = item.to_json()["Attributes"]
                if response_id in str(attributes.get("pk")):
                    kind = str(attributes["sk"]["S"]).partition("#")[0]
                    sizes[kind] = sizes.get(kind, 0) + size(attributes) + 100
        return sizes


def _query_partition(query: Any) -> Any:
    """Moto reads and sorts the whole table for each Query: readers of a log would measure what else is stored."""

    def narrow(self: Any, hash_key: Any, *arguments: Any, **options: Any) -> Any:
        partition: Any = copy.copy(self)
        partition.items = {hash_key: self.items.get(hash_key, {})}
        return query(partition, hash_key, *arguments, **options)

    return narrow


def write_units(operation: str, request: Any, before: Item) -> float:
    """Of a call of DynamoDB, refused ones included; `before` is what an update has changed just now."""
    match operation:
        case "PutItem":
            return _writes(size(request["Item"])) + _index_units(request)
        case "UpdateItem":
            return _writes(max(size(before), size(_stored(request)))) + _index_units(request)
        case "TransactWriteItems":
            writes = [write for each in request["TransactItems"] for write in each.values()]
            items = [write["Item"] if "Item" in write else _stored(write) for write in writes]  # or a checked one
            return 2 * sum(_writes(size(item)) for item in items) + sum(map(_index_units, writes))
        case "BatchWriteItem":
            orders = [order for orders in request["RequestItems"].values() for order in orders]
            return sum(_writes(size(order.get("PutRequest", {}).get("Item", {}))) for order in orders)
        case _:
            return 0


_PROJECTED = ("pk", "sk", "list_pk", "list_sk", "listed")


def _index_units(write: Any) -> float:
    """Of the index by time, for one write of the table. It is written when an attribute that is projected changes:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
    """
    if "Item" not in write and "#listed" not in write.get("ExpressionAttributeNames", {}):
        return 0
    item = write["Item"] if "Item" in write else _stored(write)
    return _writes(size({name: item[name] for name in _PROJECTED})) if "listed" in item else 0


def read_units(operation: str, request: Any, answer: bytes) -> float:
    """Of a call of DynamoDB. All our reads of the table are strongly consistent; those of an index cost half."""
    match operation:
        case "Query" if "IndexName" in request:
            return _reads(sum(map(size, json.loads(answer)["Items"]))) / 2
        case "GetItem":
            return _reads(size(json.loads(answer).get("Item", {})))
        case "BatchGetItem":
            items = [item for items in json.loads(answer)["Responses"].values() for item in items]
            missing = sum(len(order["Keys"]) for order in request["RequestItems"].values()) - len(items)
            return missing + sum(_reads(size(item)) for item in items)
        case "Query":
            return _reads(sum(map(size, json.loads(answer)["Items"])))
        case _:
            return 0


def size(item: Item) -> int:
    """An item's bytes as DynamoDB counts them."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return math.ceil(len(content) / 2) + 1
        case "B":  # moto keeps what it decoded
            return len(content if isinstance(content, bytes) else base64.b64decode(content))
        case _:
            return 1


def _writes(bytes_: int) -> int:
    return max(1, math.ceil(bytes_ / 1024))


def _reads(bytes_: int) -> int:
    return max(1, math.ceil(bytes_ / 4096))


def _stored(request: Any) -> Item:
    """The item that an update is about, as it is now."""
    item = dynamodb_backends[ACCOUNT][REGION].get_item(request["TableName"], request["Key"])
    return item.to_json()["Attributes"] if item else {}


def depth(calls: list[AwsCall]) -> int:
    """How many of the calls had to wait for one another: the longest row of calls that each began after the last."""
    count, until = 0, 0.0
    for call in sorted(calls, key=lambda call: call.ended):
        if call.began >= until:
            count, until = count + 1, call.ended
    return count
