"""What the storage suites share: the backends that they run on, and things to store."""

from __future__ import annotations

import json
import random
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from moto import mock_aws
from moto.core.models import botocore_stubber

from openresponses.aws.clients import Aws
from openresponses.aws.session import Service
from openresponses.core.chain import response_link
from openresponses.core.records import Batch, Claim, Record
from openresponses.core.run import OfferedTool, Run
from openresponses.core.storage import Storage
from openresponses.schema.events import Event, OutputTextDelta
from openresponses.schema.items import Message
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response
from openresponses.storage.dynamodb.storage import aws_storage
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from tests.contract import ministack

REGION = "us-east-1"
MACHINE = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
MACHINE_ARN = f"arn:aws:states:{REGION}:123456789012:stateMachine:loop"
TABLE: dict[str, Any] = {
    "TableName": "responses",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "list_pk", "list_sk")
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-time",
            "KeySchema": [
                {"AttributeName": "list_pk", "KeyType": "HASH"},
                {"AttributeName": "list_sk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["listed"]},
        }
    ],
}
"""As template.yaml declares it."""
BUCKET = "openresponses-values"
UNICODE = 'naïve “quotes” 日本語 🙂🏽 \u0000\u2028\ufeff \\ \n "'


def rid(n: int) -> str:
    return f"resp_{n:032x}"


def text(size: int, seed: int = 0) -> str:
    """That many characters, which compress to three quarters as many bytes."""
    return b64encode(random.Random(seed).randbytes(size)).decode()[:size]


def new_response(n: int, *, said: str = "", status: str = "in_progress") -> Response:
    output = [{"type": "message", "id": f"msg_{n:032x}0000", "role": "assistant", "content": said}] if said else []
    values = {"id": rid(n), "created_at": 1_700_000_000, "model": "offline/demo", "store": True}
    return Response.model_validate({**values, "status": status, "output": output, "metadata": {"naïve": UNICODE}})


def new_record(n: int, *, asked: str = UNICODE, said: str = "", lease: float | None = 1_700_000_030.25) -> Record:
    asked_item = Message.model_validate({"id": f"msg_{n:032x}i0000", "role": "user", "content": asked})
    return Record(
        response=new_response(n, said=said), input=[asked_item], chain=[response_link(rid(n + 1000), 2)], lease=lease
    )


def new_run(n: int, *, said: str = "") -> Run:
    """Without a context and without items: that is how runs come back."""
    clock = OfferedTool(name="clock", kind="hosted", item_type="serverless:clock", wire_name="clock", description="é")
    asked = {"model": "offline/demo", "instructions": said, "temperature": 0.1, "metadata": {"k": UNICODE}}
    request = CreateResponse.model_validate(asked)
    return Run(response=new_response(n), request=request, tools=[clock], max_turns=8, next_sequence=4)


async def claimed(storage: Storage, n: int, key: str, body_hash: str = "hash", instead_of: int | None = None) -> str:
    """The id of the response that `key` stands for, once response `n` is to be created for it."""
    claim = Claim(key, rid(n), body_hash, "" if instead_of is None else rid(instead_of))
    held = await storage.store.create(new_record(n), new_run(n), claim=claim)
    assert held is None or held.key == key
    return rid(n) if held is None else held.response_id


def new_batch(number: int, *deltas: str, first: int = 0) -> Batch:
    events: list[Event] = [
        OutputTextDelta(item_id="msg_1", output_index=0, content_index=0, delta=delta, sequence_number=first + i)
        for i, delta in enumerate(deltas)
    ]
    return Batch(number, events)


@dataclass
class Call:
    """`depth` is how many calls had to be answered, one after the other, before this one could be made. `checks` is
    whether it is a transaction with conditions on what it does not write."""

    service: str
    operation: str
    depth: int
    checks: bool = False


class WatchedAws(Aws):
    """Counts calls, and can make them fail. All go to moto one by one: it has no lock around conditional writes."""

    _moto = threading.RLock()

    def __init__(self, *, attempts: int = 3, emulator: str = "moto") -> None:
        super().__init__(REGION, attempts=attempts)
        self._http = None if emulator == "moto" else URLLib3Session()
        self.calls: list[Call] = []
        self.pace = 0.0
        self.fault: Callable[[int, int, AWSPreparedRequest, Callable[[], AWSResponse]], AWSResponse] | None = None
        self._watched: set[Service] = set()
        self._lock = threading.RLock()
        self._here = threading.local()
        self._answered = 0

    def client(self, service: Service) -> Any:
        with self._lock:
            client = super().client(service)
            if service not in self._watched:
                self._watched.add(service)
                client.meta.events.register("before-call", self._count)
                client.meta.events.unregister("before-send", botocore_stubber)  # or both answer
                client.meta.events.register("before-send", self._send)
            return client

    def forget(self) -> None:
        self.calls, self._answered = [], 0

    def _count(self, event_name: str, params: dict[str, Any], **_: object) -> None:
        _, service, operation = event_name.split(".")
        with self._lock:
            self._here.index, self._here.attempt = len(self.calls), 0
            checks = operation == "TransactWriteItems" and b"ConditionCheck" in params["body"]
            self.calls.append(Call(service, operation, self._answered, checks))

    def _send(self, event_name: str, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """`pace` seconds pass before an answer, so that calls made side by side are seen to be so."""
        index, attempt = self._here.index, self._here.attempt
        self._here.attempt += 1

        def answer() -> AWSResponse:
            if self._http:
                return self._http.send(request)
            with self._moto:
                response = botocore_stubber(event_name, request)
                assert response is not None, request.url
                return response

        time.sleep(self.pace)
        response = self.fault(index, attempt, request, answer) if self.fault else answer()
        with self._lock:
            self._answered = max(self._answered, self.calls[index].depth + 1)
        return response


class MemoryBackend:
    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}

    def storage(self, tenant: str = "tenant") -> Storage:
        return memory_storage(self._shelves.setdefault(tenant, Shelf()))

    def add_machine(self) -> None:
        """It has one."""

    def at_rest(self) -> str:
        """All that it holds."""
        return repr(self._shelves)

    def started(self, tenant: str = "tenant") -> list[tuple[str, int]]:
        return self._shelves[tenant].started


class AwsBackend:
    """Made within an emulator."""

    def __init__(self, aws: WatchedAws) -> None:
        self.time = 1_700_000_000.0
        self.aws = aws
        self.dynamodb, self.s3 = self.aws.client("dynamodb"), self.aws.client("s3")
        self.dynamodb.create_table(**TABLE)
        self.s3.create_bucket(Bucket=BUCKET)
        self.aws.forget()

    def add_machine(self) -> None:
        """Apart, since moto takes longer for it than for all the rest."""
        self.states = self.aws.client("stepfunctions")
        role = "arn:aws:iam::123456789012:role/states"
        made = self.states.create_state_machine(name="loop", definition=MACHINE, roleArn=role)
        assert made["stateMachineArn"] == MACHINE_ARN
        self.aws.forget()

    def storage(self, tenant: str = "tenant") -> Storage:
        return aws_storage(
            self.aws,
            table=TABLE["TableName"],
            bucket=BUCKET,
            state_machine_arn=MACHINE_ARN,
            tenant=tenant,
            now=lambda: self.time,
        )

    def started(self, tenant: str = "tenant") -> list[tuple[str, int]]:
        executions = self.states.list_executions(stateMachineArn=MACHINE_ARN)["executions"]
        arns = [each["executionArn"] for each in executions]
        inputs = [json.loads(self.states.describe_execution(executionArn=arn)["input"]) for arn in arns]
        return [(each["response_id"], each["generation"]) for each in inputs if each["tenant"] == tenant]

    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=TABLE["TableName"]):
            found += page["Items"]
        return found

    def objects(self) -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def at_rest(self) -> str:
        """All text in the table and in the bucket."""
        packed = [value["B"] for item in self.items() for value in item.values() if "B" in value]
        packed += [self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in self.objects()]
        return "".join(zlib.decompress(each).decode() for each in packed)


EMULATORS = ("moto", pytest.param("ministack", marks=pytest.mark.ministack))
"""What plays AWS. The second one shares no line with the first, and so no mistake but by chance."""
BACKENDS = ("memory", *EMULATORS)


@contextmanager
def opened(name: str) -> Iterator[MemoryBackend | AwsBackend]:
    if name == "memory":
        yield MemoryBackend()
        return
    with opened_aws(name) as backend:
        yield backend


@contextmanager
def opened_aws(emulator: str = "moto", aws: type[WatchedAws] = WatchedAws) -> Iterator[AwsBackend]:
    with mock_aws() if emulator == "moto" else ministack.emptied():
        backend = AwsBackend(aws(emulator=emulator))
        try:
            yield backend
        finally:
            backend.aws.close()
