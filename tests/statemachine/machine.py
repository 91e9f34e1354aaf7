"""The state machine of infra/statemachine, executed by the local Step Functions with a plain Python function."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openresponses_dev.local.kept import Kept
from openresponses_dev.local.sandbox.calls import FunctionError, InvokeError
from openresponses_dev.local.sandbox.lambda_api import LambdaApi, Target
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.services.moto_server import MotoServer
from openresponses_dev.local.template.aws_resources import ROLE, AwsCall, substitute
from openresponses_dev.local.template.intrinsics import ACCOUNT, REGION

ASL = Path(__file__).parents[2] / "infra/statemachine/loop.asl.json"
Handler = Callable[[dict[str, Any]], object]
STATE_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:"
WORKER = "Worker"
LIMIT_S = 20.0


def function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def substitutions(**seconds: int) -> dict[str, str]:
    """What the template gives: the partition, the function's ARN, and limits in seconds by name."""
    limits = {WORKER: 60, **seconds}
    return {
        "Partition": "aws",
        f"{WORKER}FunctionArn": function_arn(WORKER),
        **{f"{name}TimeoutSeconds": str(limit) for name, limit in limits.items()},
    }


def definition(**seconds: int) -> str:
    return substitute(ASL.read_text(), substitutions(**seconds))


def target(handler: Handler) -> Target:
    """A plain function behind Lambda: what it raises is told as Lambda tells it."""

    def run(event: bytes) -> bytes:
        try:
            return json.dumps(handler(json.loads(event))).encode()
        except (FunctionError, InvokeError):
            raise
        except Exception as error:
            raise FunctionError(type(error).__name__, str(error)) from error

    return run


def answer(event: Mapping[str, Any], step: str, calls: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """What the worker says of a task."""
    ids = {name: event[name] for name in ("tenant", "response_id", "generation")}
    return {**ids, "step": step, "calls": [*calls]}


TENANT = "acme"
STEPS = ("again", "renewed", "over")


class Script:
    """The worker of one response: `tasks` says how each of its tasks ends, with a step or an error of this type. What
    came in is kept.
    """

    def __init__(self, *tasks: str, settle: Handler | None = None) -> None:
        self.worked: list[dict[str, Any]] = []
        self.settled: list[dict[str, Any]] = []
        self._tasks, self._settle = iter(tasks), settle

    def __call__(self, event: dict[str, Any]) -> object:
        if "error" in event:
            self.settled.append(event)
            return self._settle(event) if self._settle else None
        self.worked.append(event)
        return self.work(event)

    def work(self, event: dict[str, Any]) -> object:
        end = next(self._tasks)
        if end not in STEPS:
            raise FunctionError(end, f"it was {end}")
        return answer(event, end)


class Machine:
    """Step Functions with the state machine "Loop", and others that a test makes."""

    def __init__(self, aws: LocalAws, functions: dict[str, Target]) -> None:
        self.aws = aws
        self.functions = functions
        self.scripts: dict[str, Script] = {}
        self.sfn = aws.client("stepfunctions")
        functions[WORKER] = target(lambda event: self.scripts[event["response_id"]](event))

    def create(self, definition: str | Mapping[str, Any]) -> str:
        """Another state machine; its ARN."""
        text = definition if isinstance(definition, str) else json.dumps(definition)
        made = self.sfn.create_state_machine(name=f"m-{uuid.uuid4()}", definition=text, roleArn=ROLE)
        return made["stateMachineArn"]

    def start(self, script: Script, *, arn: str = f"{STATE_MACHINE}Loop", generation: int = 0) -> str:
        """Start an execution for a response of its own; the execution's ARN."""
        response_id = f"resp_{uuid.uuid4().hex}"
        self.scripts[response_id] = script
        return self.begin(
            arn, {"tenant": TENANT, "response_id": response_id, "generation": generation}, f"{response_id}-{generation}"
        )

    def begin(self, arn: str, given: Mapping[str, Any], name: str | None = None) -> str:
        started = self.sfn.start_execution(stateMachineArn=arn, name=name or uuid.uuid4().hex, input=json.dumps(given))
        return started["executionArn"]

    def finish(self, execution: str) -> dict[str, Any]:
        until(lambda: self.describe(execution)["status"] != "RUNNING")
        return self.describe(execution)

    def run(self, script: Script, **options: Any) -> dict[str, Any]:
        return self.finish(self.start(script, **options))

    def describe(self, execution: str) -> dict[str, Any]:
        return self.sfn.describe_execution(executionArn=execution)

    def history(self, execution: str) -> list[dict[str, Any]]:
        return self.sfn.get_execution_history(executionArn=execution)["events"]


@contextmanager
def running(retry_scale: float, kept: Kept | None = None, going_on: Container[str] = ()) -> Iterator[Machine]:
    """`going_on` are responses whose executions a test starts again."""
    functions: dict[str, Target] = {}
    create = {"name": "Loop", "definition": definition(), "roleArn": ROLE}
    requests = [AwsCall("stepfunctions", "create_state_machine", create)]
    aws = LocalAws(None, LambdaApi(functions), extra=requests, retry_scale=retry_scale, kept=kept)
    aws.start()
    aws.expect_answers(going_on)
    try:
        yield Machine(aws, functions)
    finally:
        aws.halt()
        aws.stop()


def executor_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if MotoServer.executes(thread)]


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.005)
