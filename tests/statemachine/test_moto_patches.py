"""Each patch of infra/openresponses_dev/local/services/moto_patches.py: what moto's own code gets wrong, done right."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from jsonpath_ng.parser import JsonPathParser
from moto.dynamodb.models.table import Table
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramRunning
from moto.stepfunctions.parser.asl.parse import asl_parser
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from openresponses_dev.local.sandbox.calls import FunctionError
from openresponses_dev.local.template.intrinsics import ACCOUNT, REGION
from tests.statemachine.machine import Machine, executor_threads, function_arn, target, until

RETRY_SCALE = 1.0


def task(function: str, **fields: Any) -> dict[str, Any]:
    parameters = {"FunctionName": function_arn(function), "Payload.$": "$"}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters, **fields}


def one(state: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "A", "States": {"A": state, **others}}


def all_at_once(count: int, work: Callable[[], object]) -> list[object]:
    """What `work` returned or raised in this many threads that start together."""
    barrier, outcomes = threading.Barrier(count), list[object]()

    def run() -> None:
        barrier.wait()
        try:
            outcomes.append(work())
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns all the time: two steps that should be one are seldom caught apart otherwise."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_definition_that_is_refused_spoils_no_other(machine: Machine) -> None:
    mixed = {"Type": "Pass", "QueryLanguage": "JSONata", "Parameters": {"a.$": "$.a"}, "End": True}
    with pytest.raises(ClientError):
        machine.create(one(mixed))
    arn = machine.create(one({"Type": "Pass", "Parameters": {"a.$": "$.a"}, "End": True}))
    assert json.loads(machine.finish(machine.begin(arn, {"a": 1}))["output"]) == {"a": 1}


@pytest.mark.usefixtures("hasty_threads")
def test_two_starts_of_a_name_start_it_once(machine: Machine) -> None:
    release, calls = threading.Event(), list[object]()
    machine.functions["hold"] = target(lambda event: [calls.append(event), release.wait(20)])
    arn = machine.create(one(task("hold", End=True)))
    backend = stepfunctions_parser_backends[ACCOUNT][REGION]  # past HTTP, which keeps calls apart
    for attempt in range(5):
        outcomes = all_at_once(8, partial(backend.start_execution, arn, f"same-{attempt}", "{}"))
        assert len({*outcomes}) == 1, outcomes
    until(lambda: len(calls) == 5)
    release.set()
    until(lambda: not executor_threads())
    assert len(calls) == 5


@pytest.mark.usefixtures("hasty_threads")
def test_an_execution_can_be_stopped_as_soon_as_it_is_started(machine: Machine) -> None:
    machine.functions["slow"] = target(lambda _: time.sleep(0.01))
    arn = machine.create(one(task("slow", Next="A")))
    backend = stepfunctions_parser_backends[ACCOUNT][REGION]
    for attempt in range(10):
        execution = backend.start_execution(arn, f"short-{attempt}", "{}")
        backend.stop_execution(execution.execution_arn)
        assert machine.describe(execution.execution_arn)["status"] == "ABORTED"


def test_a_stop_may_come_as_an_execution_notes_its_next_state(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop comes once the thread has seen that the execution runs, and must wait until it has noted the state."""
    stopped, release = threading.Event(), threading.Event()

    def stop(env: Environment) -> None:
        env.set_stop(None, None, None)
        stopped.set()

    class StoppedAtOnce:
        def __get__(self, env: Environment, _: object) -> object:
            return env.__dict__.get("_program_state")

        def __set__(self, env: Environment, state: object) -> None:
            env.__dict__["_program_state"] = state
            if isinstance(state, ProgramRunning) and not env.is_frame():  # a stop begins with the execution itself
                threading.Thread(target=stop, args=(env,)).start()
                stopped.wait(0.2)

    monkeypatch.setattr(Environment, "_program_state", StoppedAtOnce(), raising=False)
    machine.functions["hold"] = target(lambda _: release.wait(20))
    execution = machine.begin(machine.create(one(task("hold", End=True))), {})
    assert stopped.wait(20)
    release.set()
    ended = machine.finish(execution)
    assert (ended["status"], ended.get("cause")) == ("ABORTED", None)
    until(lambda: not executor_threads())


def test_an_execution_can_be_looked_at_before_it_has_named_its_first_state(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins to run, and a moment later names its state: whoever looks in between waits for the name."""
    begun, looked = threading.Event(), threading.Event()

    class BegunSlowly:
        def __get__(self, env: Environment, _: object) -> object:
            return env.__dict__.get("_program_state")

        def __set__(self, env: Environment, state: object) -> None:
            env.__dict__["_program_state"] = state
            if isinstance(state, ProgramRunning) and not begun.is_set():
                begun.set()
                looked.wait(0.2)

    monkeypatch.setattr(Environment, "_program_state", BegunSlowly(), raising=False)
    machine.functions["quick"] = target(lambda _: None)
    arn = machine.create(one(task("quick", End=True)))
    started = threading.Thread(target=machine.begin, args=(arn, {}))
    started.start()
    assert begun.wait(20)
    states = [execution.state for execution in machine.aws.executions() if execution.status == "RUNNING"]
    looked.set()
    started.join()
    assert {*states} <= {"A", None}  # none, once it has ended
    until(lambda: not executor_threads())


def test_a_failure_after_the_stop_does_not_change_the_status(machine: Machine) -> None:
    started, release = threading.Event(), threading.Event()

    def fail_late(_: dict[str, Any]) -> None:
        started.set()
        release.wait(20)
        raise FunctionError("ValueError", "too late")

    machine.functions["fail"] = target(fail_late)
    execution = machine.begin(machine.create(one(task("fail", End=True))), {})
    assert started.wait(20)
    machine.sfn.stop_execution(executionArn=execution)
    before = machine.describe(execution)
    release.set()
    until(lambda: not executor_threads())
    after = machine.describe(execution)
    assert (before["status"], after["status"]) == ("ABORTED", "ABORTED")
    assert before["stopDate"] == after["stopDate"]


def test_a_stop_ends_the_delay_before_a_retry(machine: Machine) -> None:
    failed = threading.Event()

    def fail(_: dict[str, Any]) -> None:
        failed.set()
        raise FunctionError("Busy", "come back")

    machine.functions["busy"] = target(fail)
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 600, "MaxAttempts": 3}]
    execution = machine.begin(machine.create(one(task("busy", End=True, Retry=retry))), {})
    assert failed.wait(20)
    machine.sfn.stop_execution(executionArn=execution)
    until(lambda: not executor_threads())
    assert machine.describe(execution)["status"] == "ABORTED"


def test_an_execution_has_its_own_program(machine: Machine) -> None:
    """The parsed definition is kept, and a program holds state: executions must not meet in it."""
    machine.functions["echo"] = target(lambda event: event)
    each = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": one(task("echo", OutputPath="$.Payload", End=True))}
    arn = machine.create(one({**each, "End": True}))
    given = [{"items": [f"{run}-{item}" for item in range(5)]} for run in range(20)]
    ended = [machine.finish(execution) for execution in [machine.begin(arn, each_input) for each_input in given]]
    assert [json.loads(execution["output"]) for execution in ended] == [each_input["items"] for each_input in given]


@pytest.mark.usefixtures("hasty_threads")
def test_of_two_conditional_writes_of_an_item_one_wins(machine: Machine) -> None:
    dynamodb = machine.aws.client("dynamodb")
    dynamodb.create_table(
        TableName="conditions",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def put(pk: str) -> None:
        dynamodb.put_item(
            TableName="conditions", Item={"pk": {"S": pk}}, ConditionExpression="attribute_not_exists(pk)"
        )

    def transact(pk: str) -> None:
        write = {"TableName": "conditions", "Item": {"pk": {"S": pk}}}
        dynamodb.transact_write_items(
            TransactItems=[{"Put": {**write, "ConditionExpression": "attribute_not_exists(pk)"}}]
        )

    for write in (put, transact):
        for attempt in range(20):
            outcomes = all_at_once(6, partial(write, f"{write.__name__}-{attempt}"))
            assert sum(outcome is None for outcome in outcomes) == 1, outcomes


@pytest.mark.usefixtures("hasty_threads")
def test_of_two_conditional_writes_of_an_object_one_wins(machine: Machine) -> None:
    s3 = machine.aws.client("s3")
    s3.create_bucket(Bucket="conditions")
    for attempt in range(20):
        outcomes = all_at_once(
            6, lambda key=str(attempt): s3.put_object(Bucket="conditions", Key=key, Body=b"x", IfNoneMatch="*")
        )
        assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1, outcomes


@pytest.mark.parametrize("range_key", [True, False])
def test_a_transaction_copies_no_table_and_takes_back_what_it_did(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, range_key: bool
) -> None:
    dynamodb, table = machine.aws.client("dynamodb"), f"transactions-{range_key}"
    names = ["pk", "sk"] if range_key else ["pk"]
    dynamodb.create_table(
        TableName=table,
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        BillingMode="PAY_PER_REQUEST",
    )

    def refuse(*_: Any) -> None:
        raise AssertionError("the table is copied")

    monkeypatch.setattr(Table, "__deepcopy__", refuse, raising=False)

    def key(pk: str) -> dict[str, Any]:
        return {name: {"S": pk} for name in names}

    def transact(*writes: dict[str, Any]) -> None:
        dynamodb.transact_write_items(
            TransactItems=[{kind: {"TableName": table, **write}} for each in writes for kind, write in each.items()]
        )

    transact(*({"Put": {"Item": {**key(pk), "n": {"N": "1"}}}} for pk in "abc"))
    before = dynamodb.scan(TableName=table)["Items"]
    assert len(before) == 3
    adding = {"UpdateExpression": "SET n = :two", "ExpressionAttributeValues": {":two": {"N": "2"}}}
    changes = [
        {"Put": {"Item": key("new")}},
        {"Update": {"Key": key("a"), **adding}},
        {"Delete": {"Key": key("b")}},
        {"ConditionCheck": {"Key": key("c"), "ConditionExpression": "attribute_not_exists(pk)"}},
    ]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        transact(*changes)
    found = dynamodb.scan(TableName=table)["Items"]
    assert sorted(found, key=str) == sorted(before, key=str)
    transact(*changes[:-1])
    assert {item["pk"]["S"]: item.get("n") for item in dynamodb.scan(TableName=table)["Items"]} == {
        "new": None,
        "a": {"N": "2"},
        "c": {"N": "1"},
    }


@pytest.mark.parametrize("range_key", [True, False])
def test_a_query_looks_at_the_items_of_its_key_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, range_key: bool
) -> None:
    dynamodb, table = machine.aws.client("dynamodb"), f"queries-{range_key}"
    names = ["pk", "sk"] if range_key else ["pk"]
    dynamodb.create_table(
        TableName=table,
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-sk",
                "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(9):
        dynamodb.put_item(
            TableName=table, Item={"pk": {"S": f"{number // 3 if range_key else number}"}, "sk": {"S": f"{number % 3}"}}
        )
    seen: list[int] = []
    all_items = Table.all_items
    monkeypatch.setattr(Table, "all_items", lambda self: (items := all_items(self), seen.append(len(items)))[0])

    def found(name: str, value: str, **more: Any) -> list[str]:
        asked = {"KeyConditionExpression": f"{name} = :value", "ExpressionAttributeValues": {":value": {"S": value}}}
        return sorted(
            item["pk"]["S"] + item["sk"]["S"] for item in dynamodb.query(TableName=table, **asked, **more)["Items"]
        )

    assert found("pk", "1") == (["10", "11", "12"] if range_key else ["11"])
    assert found("pk", "none") == []
    assert found("sk", "1", IndexName="by-sk") == (["01", "11", "21"] if range_key else ["11", "41", "71"])
    assert found("pk", "2") == (["20", "21", "22"] if range_key else ["22"])
    assert seen == [3 if range_key else 1, 0, 9, 3 if range_key else 1]
    assert len(dynamodb.scan(TableName=table)["Items"]) == 9


def test_an_invoke_reaches_the_function(machine: Machine) -> None:
    machine.functions["echo"] = target(lambda event: {"echo": event})
    answer = machine.aws.client("lambda").invoke(FunctionName="echo", Payload=b'{"a":"\xc3\xa9"}')
    assert json.load(answer["Payload"]) == {"echo": {"a": "é"}}


def test_a_path_and_a_definition_are_parsed_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.functions["echo"] = target(lambda event: event)
    arn = machine.create(one(task("echo", OutputPath="$.Payload.deep", End=True)))
    given = {"deep": {"er": 1}}
    first = machine.finish(machine.begin(arn, given))

    def refuse(*_: Any) -> None:
        raise AssertionError("parsed again")

    for module, parser in ((asl_parser, "ASLParser"), (JsonPathParser, "parse")):
        monkeypatch.setattr(module, parser, refuse)
    second = machine.finish(machine.begin(arn, given))
    assert json.loads(first["output"]) == json.loads(second["output"]) == {"er": 1}
