"""Streams of tables, and Lambda's event source mappings of them, in the local cloud."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from openresponses_dev.local.background import Background
from openresponses_dev.local.kept import Kept
from openresponses_dev.local.logs import Log
from openresponses_dev.local.private_folder import PrivateFolder
from openresponses_dev.local.sandbox.calls import Call, FunctionError
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.sandbox.lambda_api import LambdaApi
from openresponses_dev.local.sandbox.streams import Poller, first_failure
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.aws_resources import AwsCall
from openresponses_dev.local.template.event_sources import StreamMapping, matches
from openresponses_dev.local.template.template import read_template
from openresponses_dev.local.template.yaml_tree import TemplateError
from tests.template.reading import ROOT

Json = dict[str, Any]
OWED: Any = {"dynamodb": {"NewImage": {"owed": {"S": [{"exists": True}]}}}}
MAPPING = StreamMapping("mine", "T", filters=(OWED,))


# What the template says


def test_the_mapping_of_the_template_is_read() -> None:
    (mapping,) = read_template(ROOT / "template.yaml").functions["EndedFunction"].streams
    assert mapping == StreamMapping(
        name="EndedFunctionEnds",
        table="ResponsesTable",
        filters=(OWED,),
        batch_size=25,
        lanes=10,
        reports_items=True,
        bisects=True,
        retries=200,
        age_s=21_600,
        on_failure="arn:aws:sqs:us-east-1:123456789012:EndedDeadLetters",
    )


@pytest.mark.parametrize(
    ("properties", "where"),
    [
        ("Stream: !GetAtt Table.Arn.No", "Stream"),
        ("Stream: !GetAtt Table.StreamArn, TumblingWindowInSeconds: 9", "TumblingWindowInSeconds"),
        ("Stream: !GetAtt Table.StreamArn, BatchSize: 0", "BatchSize"),
        ("Stream: !GetAtt Table.StreamArn, FilterCriteria: {Filters: [{Pattern: '{'}]}", "Pattern"),
        ("""Stream: !GetAtt Table.StreamArn, FilterCriteria: {Filters: [{Pattern: '{"a": [{"x": 1}]}'}]}""", "Pattern"),
    ],
)
def test_what_the_local_cloud_does_not_run_is_refused_with_its_place(
    properties: str, where: str, tmp_path: Path
) -> None:
    (tmp_path / "template.yaml").write_text(f"""
Resources:
  Table: {{Type: AWS::DynamoDB::Table}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: a.b
      Runtime: python3.13
      Events: {{E: {{Type: DynamoDB, Properties: {{{properties}}}}}}}
""")
    with pytest.raises(TemplateError, match=where):
        read_template(tmp_path / "template.yaml")


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (OWED, True),
        ({"dynamodb": {"NewImage": {"owed": [{"exists": True}]}}}, False),  # no leaf
        ({"dynamodb": {"NewImage": {"none": {"S": [{"exists": False}]}}}}, True),
        ({"dynamodb": {"NewImage": {"owed": {"S": [{"exists": False}]}}}}, False),
        ({"eventName": ["INSERT", "MODIFY"]}, True),
        ({"eventName": ["REMOVE"]}, False),
        ({"eventName": [{"prefix": "MOD"}], "dynamodb": {"Keys": {"pk": {"S": [{"anything-but": ["b"]}]}}}}, True),
        ({"eventName": [{"anything-but": "MODIFY"}]}, False),
    ],
)
def test_a_filter_takes_what_eventbridge_would(pattern: Any, fits: bool) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"""
    record = {"eventName": "MODIFY", "dynamodb": {"Keys": {"pk": {"S": "a"}}, "NewImage": {"owed": {"S": "{}"}}}}
    assert matches(pattern, record) is fits


# What the table's stream brings


def opened(told: Callable[[str, str, str], object], kept: Kept | None = None) -> LocalAws:
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    table: Any = {
        "TableName": "T",
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    }
    create = AwsCall("dynamodb", "create_table", table)
    return LocalAws(None, LambdaApi({}), extra=[create], kept=kept, follows=[MAPPING], streamed=told)


def item(pk: str, **more: Json) -> Json:
    return {"pk": {"S": pk}, "sk": {"S": "record"}, **more}


def test_what_a_transaction_took_back_is_told_to_nobody_and_what_it_wrote_once(tmp_path: Path) -> None:
    """And what was not delivered when the local cloud ended is told after its restart, until it is."""
    told: list[str] = []
    folder = PrivateFolder(tmp_path)

    def run(act: Callable[[LocalAws], None]) -> None:
        kept = Kept(folder, now=0.0, say=print)
        aws = opened(lambda mapping, number, text: told.append(text), kept)
        aws.start()
        try:
            act(aws)
        finally:
            aws.halt()
            aws.stop()
            kept.close()

    def write(aws: LocalAws) -> None:
        table = aws.client("dynamodb")
        table.put_item(TableName="T", Item=item("other"))
        good: Any = {"Put": {"TableName": "T", "Item": item("a", owed={"S": "1"}, data={"B": b"\x00\xff"})}}
        key = {name: item("gone")[name] for name in ("pk", "sk")}
        check: Any = {"ConditionCheck": {"TableName": "T", "Key": key, "ConditionExpression": "attribute_exists(pk)"}}
        with pytest.raises(ClientError):
            table.transact_write_items(TransactItems=[good, check])
        assert told == []
        table.transact_write_items(TransactItems=[good])
        table.update_item(TableName="T", Key={"pk": {"S": "a"}, "sk": {"S": "record"}}, UpdateExpression="REMOVE owed")

    def read(aws: LocalAws) -> None:
        aws.delivered(MAPPING.name, [json.loads(told[-1])["dynamodb"]["SequenceNumber"]])

    run(write)
    (first,) = told
    run(lambda _: None)
    run(read)
    run(lambda _: None)
    assert told == [first] * 3, "once written, and told at each start until it was delivered"
    record = json.loads(first)
    number = record["dynamodb"]["SequenceNumber"]
    assert (record["eventName"], record["eventSource"], record["eventID"]) == ("INSERT", "aws:dynamodb", number)
    assert record["dynamodb"]["Keys"] == {"pk": {"S": "a"}, "sk": {"S": "record"}}
    assert record["dynamodb"]["NewImage"] == item("a", owed={"S": "1"}, data={"B": "AP8="})


# How it is delivered


class Stub:
    """A function whose answers a test gives: a list of numbers that failed, an error, or None for all well."""

    def __init__(self, answer: Callable[[list[str]], list[str] | FunctionError | None]) -> None:
        self.spec = type("Spec", (), {"name": "F"})
        self.closed = False
        self.batches: list[list[str]] = []
        self._answer = answer

    async def invoke_soon(self, payload: bytes, trace_id: None, *, patience_s: float) -> Call:
        numbers = [each["dynamodb"]["SequenceNumber"] for each in json.loads(payload)["Records"]]
        self.batches.append(numbers)
        answer, call = self._answer(numbers), Call("F", 128)
        if isinstance(answer, FunctionError):
            call.end(answer)
        else:
            failed = [{"itemIdentifier": number} for number in answer or ()]
            call.put(json.dumps({"batchItemFailures": failed}).encode())
            call.end()
        return call


async def polled(mapping: StreamMapping, stub: Stub, *numbers: str, at: float = 4e9) -> list[str]:
    """The numbers of the records in the order in which the poller was done with them."""
    done: list[str] = []
    background = Background(print)
    poller = Poller(
        mapping, cast("Function", stub), background, Log(None), lambda _, numbers: done.extend(numbers), wait_scale=0.0
    )
    for number in numbers:
        change = {"Keys": {"pk": {"S": "a"}}, "SequenceNumber": number, "ApproximateCreationDateTime": at}
        poller.put(number, json.dumps({"dynamodb": change}))
    async with asyncio.timeout(10):
        while len(done) < len(numbers):
            await asyncio.sleep(0)
    await background.close()
    return done


async def test_records_of_an_item_come_in_their_order_in_batches() -> None:
    stub = Stub(lambda _: None)
    assert await polled(StreamMapping("m", "T", batch_size=2), stub, "1", "2", "3") == ["1", "2", "3"]
    assert stub.batches == [["1", "2"], ["3"]]


async def test_from_the_first_failure_on_records_are_tried_again() -> None:
    failures = iter([["3", "2"], ["3"]])
    stub = Stub(lambda _: next(failures, None))
    assert await polled(StreamMapping("m", "T", reports_items=True), stub, "1", "2", "3") == ["1", "2", "3"]
    assert stub.batches == [["1", "2", "3"], ["2", "3"], ["3"]]


async def test_a_record_that_kills_its_function_is_found_and_given_up() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html"""
    stub = Stub(lambda numbers: FunctionError("Runtime.ExitError", "") if "3" in numbers else None)
    mapping = StreamMapping("m", "T", bisects=True, retries=2)
    assert await polled(mapping, stub, "1", "2", "3", "4") == ["1", "2", "3", "4"]
    assert stub.batches == [["1", "2", "3", "4"], ["1", "2"], ["3", "4"], ["3"], ["3"], ["3"], ["4"]]


async def test_a_record_that_is_too_old_is_given_up() -> None:
    stub = Stub(lambda _: None)
    assert await polled(StreamMapping("m", "T", age_s=60), stub, "1", at=1.0) == ["1"]
    assert stub.batches == []


@pytest.mark.parametrize(
    ("body", "done"),
    [
        (b"", 3),
        (b"null", 3),
        (b"{}", 3),
        (b'{"batchItemFailures": null}', 3),
        (b'{"batchItemFailures": []}', 3),
        (b'{"batchItemFailures": [{"itemIdentifier": "b"}]}', 1),
        (b'{"batchItemFailures": [{"itemIdentifier": "c"}, {"itemIdentifier": "a"}]}', 0),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', 0),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', 0),
        (b'{"batchItemFailures": [{"bad": "a"}]}', 0),
        (b'{"batchItemFailures": [{"itemIdentifier": "z"}]}', 0),
        (b"[]x", 0),
    ],
)
def test_what_a_function_says_of_failures_is_taken_as_lambda_takes_it(body: bytes, done: int) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html"""
    assert first_failure(["a", "b", "c"], body) == done
