# pyright: basic, reportPrivateUsage=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false
"""Everything we change in moto (5.2): where it is not AWS, and where it is slow. Each patch says what it replaces,
and tests/statemachine/test_moto_patches.py shows it.
"""

from __future__ import annotations

import copy
import datetime
import functools
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from botocore.exceptions import ClientError
from jsonpath_ng.ext.parser import parse as parse_path
from jsonpath_ng.parser import parse as parse_plain_path
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.dynamodb import models as dynamodb_models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response
from moto.ssm.models import SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.stepfunctions.parser import models as sfn_models
from moto.stepfunctions.parser import utils as sfn_utils
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackConsumerLeft,
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped, ProgramTimedOut
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.responses import StepFunctionResponse

from openresponses_dev.local.sandbox.calls import InvokeError
from openresponses_dev.local.sandbox.lambda_api import Answer, LambdaApi

START_LIMIT_S = 30.0
_lambda_api: LambdaApi | None = None
_retry_scale = 1.0
_status = threading.RLock()

Touched: TypeAlias = tuple[str, str, Any]
"""What a request may have changed: ("item", table, (key, key)), ("object", bucket, name) or ("parameter", "", name)."""
storage = threading.RLock()
"""Held while a request to DynamoDB, S3 or the Parameter Store is served."""
touched: set[Touched] = set()
"""By the request that is served."""
_told: Callable[[set[Touched]], None] | None = None


def tell_of_writes(told: Callable[[set[Touched]], None] | None) -> None:
    """Call it before each request is answered that may have changed something, with the lock `storage`."""
    global _told
    with storage:
        _told = told
        touched.clear()


def apply(lambda_api: LambdaApi, *, retry_scale: float = 1.0) -> None:
    """Patch moto, once a process, and invoke functions through `lambda_api` from now on.

    `retry_scale` shortens the delays of Retry, for tests.
    """
    global _lambda_api, _retry_scale
    _lambda_api, _retry_scale = lambda_api, retry_scale
    _apply_once()


@functools.cache
def _apply_once() -> None:
    # The executor logs whole payloads at ERROR, werkzeug every request.
    for name in ("moto", "werkzeug"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _invoke_sandboxes()
    _parse_alone()
    _start_once()
    _stop_at_once()
    _wait_interruptibly()
    _answer_once()
    _keep_the_item()
    _measure_parameters()
    _lock_storage()
    _note_what_changes()
    _back_up_what_a_transaction_touches()
    _cache_parsers()


# Functions


def _invoke_sandboxes() -> None:
    """Lambda without Docker answers what it was asked. The executor's own calls skip HTTP as well: 4 ms each."""

    def invoke(_self: Any, name: str, _qualifier: Any, body: Any, headers: Any, response_headers: Any) -> bytes:
        payload = body if isinstance(body, bytes) else (body or "").encode()
        try:
            answer = _api().invoke(name, payload, headers.get("X-Amz-Invocation-Type") or "RequestResponse")
        except InvokeError as refused:
            error = JsonRESTError(refused.error_type, str(refused))
            error.code = refused.status
            raise error from refused
        response_headers["x-amzn-requestid"] = answer.request_id
        response_headers["x-amz-executed-version"] = "$LATEST"
        if answer.function_error:
            response_headers["x-amz-function-error"] = "Unhandled"
        return answer.payload

    def invoke_for_task(parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
        try:
            answer: Answer = _api().invoke(parameters["FunctionName"], parameters.get("Payload") or b"{}")
        except InvokeError as refused:
            details = {"Error": {"Code": refused.error_type, "Message": str(refused)}}
            metadata = {"ResponseMetadata": {"HTTPStatusCode": refused.status, "RequestId": ""}}
            raise ClientError({**details, **metadata}, "Invoke") from refused
        result: dict[str, Any] = {"StatusCode": answer.status, "ExecutedVersion": "$LATEST"}
        result["Payload"] = json.loads(answer.payload or b"null")
        return {**result, "FunctionError": "Unhandled"} if answer.function_error else result

    LambdaSimpleBackend.invoke = invoke
    lambda_eval_utils._invoke_lambda_function = invoke_for_task


def _api() -> LambdaApi:
    assert _lambda_api, "apply() comes first"
    return _lambda_api


# Executions


def _parse_alone() -> None:
    """All parses of a process share one list: a definition that is refused, or two at once, spoil the others."""

    def own_scope(self: Preprocessor) -> None:
        self._query_language_per_scope = []

    Preprocessor.__init__ = own_scope


def _start_once() -> None:
    """Looking a name up and taking it are two steps: two starts of one name both run. And an execution is answered
    for before it has an environment, so that stopping it raises AttributeError. And each thread is kept for ever."""
    start = sfn_models.StepFunctionsParserBackend.start_execution

    def start_execution(self: Any, *args: Any, **kwargs: Any) -> Execution:
        with _status:
            sfn_utils.TMP_THREADS.clear()
            execution = start(self, *args, **kwargs)
        limit = time.monotonic() + START_LIMIT_S
        while execution.status == "RUNNING" and time.monotonic() < limit:
            env = execution.exec_worker and execution.exec_worker.env
            if env and env.program_state():
                break
            time.sleep(0.001)
        return execution

    sfn_models.StepFunctionsParserBackend.start_execution = start_execution


def _stop_at_once() -> None:
    """StopExecution forgets its error and cause, and shows only when the running task has ended, which may then make
    the execution FAILED. AWS reports ABORTED at once; the task's own work goes on. And an execution's thread looks
    whether it runs, then notes its next state, or field: it raises RuntimeError if a stop comes between the two."""

    def stop_execution(self: Any, execution_arn: str, error: str | None = None, cause: str | None = None) -> Execution:
        execution = self.describe_execution(execution_arn)
        with _status:
            if execution.status == "RUNNING":
                now = datetime.datetime.now(tz=datetime.UTC)
                execution.stop(stop_date=now, error=error, cause=cause)
                execution.error, execution.cause, execution.stop_date = error, cause, now
                execution.exec_status = ExecutionStatus.ABORTED
                for endpoint in [*_pool(execution).values()]:  # what waits for a token, else for as long as it may
                    endpoint.interrupt_all()
        return execution

    stock_answer = StepFunctionResponse.stop_execution

    def answer(self: StepFunctionResponse) -> ActionResult:
        if not isinstance(self.stepfunction_backend, sfn_models.StepFunctionsParserBackend):
            return stock_answer(self)  # a moto of the same process that doesn't execute
        stopped = self.stepfunction_backend.stop_execution(*map(self._get_param, ("executionArn", "error", "cause")))
        return ActionResult({"stopDate": stopped.stop_date})

    reflect = BaseExecutionWorkerCommunication._reflect_execution_status

    def reflect_unless_stopped(self: BaseExecutionWorkerCommunication) -> None:
        with _status:
            if self.execution.status != "ABORTED":
                reflect(self)

    def unless_over(change: Callable[..., None]) -> Callable[..., None]:
        def changed(self: Environment, *args: Any, **kwargs: Any) -> None:
            with self._state_mutex:  # as a stop and a timeout do
                if not isinstance(self._program_state, (ProgramStopped, ProgramTimedOut)):
                    change(self, *args, **kwargs)

        return changed

    set_next_state, set_next_field = Environment.next_state_name.fset, Environment.next_field_name.fset
    assert set_next_state is not None
    assert set_next_field is not None

    sfn_models.StepFunctionsParserBackend.stop_execution = stop_execution
    StepFunctionResponse.stop_execution = answer
    BaseExecutionWorkerCommunication._reflect_execution_status = reflect_unless_stopped
    Environment.set_error = unless_over(Environment.set_error)
    Environment.next_state_name = Environment.next_state_name.setter(unless_over(set_next_state))
    Environment.next_field_name = Environment.next_field_name.setter(unless_over(set_next_field))


def _wait_interruptibly() -> None:
    """The delay before a retry is a sleep that StopExecution does not end."""
    evaluate = retrier_decl.RetrierDecl._eval_body
    current = threading.local()

    def eval_body(self: retrier_decl.RetrierDecl, env: Environment) -> None:
        current.env = env
        evaluate(self, env)

    class Clock:
        @staticmethod
        def sleep(seconds: float) -> None:
            until = time.monotonic() + seconds * _retry_scale
            while current.env.is_running() and (left := until - time.monotonic()) > 0:
                time.sleep(min(left, 0.05))

    retrier_decl.RetrierDecl._eval_body = eval_body
    retrier_decl.time = Clock


MAX_OUTPUT = 262_144
"""Bytes of an answer: https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html"""


def _answer_once() -> None:
    """Of several answers to a token the last one counts, also once its task is over; the token of an execution that has
    ended is unknown. All tries of a task have one token. What is no JSON ends the task, and a failure has no cause.
    """

    def answer(self: Any, token: str, outcome: CallbackOutcome) -> None:
        with _status:
            for execution in self._get_executions():
                if endpoint := _pool(execution).get(token):
                    over = endpoint.get_outcome() or endpoint.consumer_error or execution.status != "RUNNING"
                    if over:
                        raise JsonRESTError("TaskTimedOut", "Provided task does not exist anymore")
                    endpoint.notify(outcome)
                    return
        raise JsonRESTError("InvalidToken", "Invalid token")

    def send_success(self: StepFunctionResponse) -> ActionResult:
        token, output = map(self._get_param, ("taskToken", "output"))
        try:
            json.loads(output)
        except ValueError as error:
            raise JsonRESTError("InvalidOutput", str(error)) from None
        if len(output.encode()) > MAX_OUTPUT:
            raise JsonRESTError("InvalidOutput", "it is too long")
        answer(self.stepfunction_backend, token, CallbackOutcomeSuccess(token, output))
        return ActionResult({})

    def send_failure(self: StepFunctionResponse) -> ActionResult:
        token, error, cause = map(self._get_param, ("taskToken", "error", "cause"))
        answer(self.stepfunction_backend, token, CallbackOutcomeFailure(token, error, cause))
        return ActionResult({})

    execute = StateTaskServiceCallback._eval_execution

    def execute_with_own_token(self: StateTaskServiceCallback, env: Environment) -> None:
        if self.resource.condition != ResourceCondition.WaitForTaskToken:
            execute(self, env)
            return
        endpoint = env.callback_pool_manager.add(env.states.context_object.update_task_token())
        try:
            execute(self, env)
        finally:
            endpoint.report(CallbackConsumerLeft())

    StepFunctionResponse.send_task_success = send_success
    StepFunctionResponse.send_task_failure = send_failure
    StateTaskServiceCallback._eval_execution = execute_with_own_token


def _keep_the_item() -> None:
    """The states of a Map don't see its item in the context object, which AWS lets them:
    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
    """
    inner_frame = Environment.as_inner_frame_of.__func__

    def frame_with_item(cls: type[Environment], env: Environment, *args: Any, **kwargs: Any) -> Environment:
        frame = inner_frame(cls, env, *args, **kwargs)
        context = env.states.context_object.context_object_data
        if "Map" in context:
            frame.states.context_object.context_object_data["Map"] = context["Map"]
        return frame

    Environment.as_inner_frame_of = classmethod(frame_with_item)


def _measure_parameters() -> None:
    """What a task is given may have any size. AWS refuses it as it does what a task returns:
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    parameters = StateTaskServiceCallback._eval_parameters

    def measured(self: StateTaskServiceCallback, env: Environment) -> dict[str, Any]:
        value = parameters(self, env)
        self._verify_size_quota(env, value)
        return value

    StateTaskServiceCallback._eval_parameters = measured


def _pool(execution: Execution) -> dict[str, Any]:
    """The waits of an execution, by their tokens."""
    worker = execution.exec_worker
    return worker.env.callback_pool_manager._pool if worker and worker.env else {}


# Storage


def _lock_storage() -> None:
    """Conditions are checked and writes made in two steps, without a lock: two conditional writes can both win."""
    methods = {
        DynamoHandler: ["call_action"],
        S3Response: ["key_response", "bucket_response"],
        SimpleSystemManagerResponse: ["call_action"],
    }
    for owner, names in methods.items():
        for name in names:
            setattr(owner, name, _one_at_a_time(getattr(owner, name)))


def _one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with storage:
            try:
                return method(*args, **kwargs)
            finally:
                if touched:
                    if _told:
                        _told(touched)
                    touched.clear()

    return locked


def _note_what_changes() -> None:
    """Moto tells nobody. All writes of the three services come through these methods, also those of a transaction, of
    PartiQL, of a copy and of an upload in parts."""

    def of_item(table: Table, item: dict[str, Any], *_: Any, **__: Any) -> Touched:
        return "item", table.name, _key_in(table, item)

    def of_key(table: Table, hash_key: Any, range_key: Any = None) -> Touched:
        return "item", table.name, (hash_key, range_key) if table.range_key_attr else (hash_key,)

    def of_update(backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *_: Any, **__: Any) -> Touched:
        return "item", table_name, _key_in(backend.get_table(table_name), key)

    def of_object(_: Any, bucket_name: str, key_name: str, *__: Any, **___: Any) -> Touched:
        return "object", bucket_name, key_name

    def of_parameter(_: Any, name: str, *__: Any, **___: Any) -> Touched:
        return "parameter", "", name

    _noting(Table, "put_item", of_item)
    _noting(Table, "delete_item", of_key)
    _noting(DynamoDBBackend, "update_item", of_update)
    _noting(S3Backend, "put_object", of_object)
    _noting(S3Backend, "delete_object", of_object)
    _noting(SimpleSystemManagerBackend, "put_parameter", of_parameter)
    _noting(SimpleSystemManagerBackend, "delete_parameter", of_parameter)
    delete = SimpleSystemManagerBackend.delete_parameters

    def delete_parameters(self: Any, names: list[str]) -> list[str]:
        touched.update(("parameter", "", name) for name in names)
        return delete(self, names)

    SimpleSystemManagerBackend.delete_parameters = delete_parameters


def _noting(owner: Any, name: str, place: Callable[..., Touched]) -> None:
    method = getattr(owner, name)

    @functools.wraps(method)
    def noted(*args: Any, **kwargs: Any) -> Any:
        done = method(*args, **kwargs)
        touched.add(place(*args, **kwargs))
        return done

    setattr(owner, name, noted)


def _key_in(table: Table, item: dict[str, Any]) -> tuple[DynamoType, ...]:
    return tuple(DynamoType(item[name]) for name in (table.hash_key_attr, table.range_key_attr) if name)


# Speed


def _back_up_what_a_transaction_touches() -> None:
    """TransactWriteItems copies the whole table once for each of its writes, to have something to return to: the more
    is stored, the longer it takes. Only the items that it names can change. (A table's stream, which ours have not,
    would keep what was taken back.)"""
    transact = DynamoDBBackend.transact_write_items

    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        before = [place for each in transact_items for place in _place(self, each)]
        try:
            transact(self, transact_items)
        except Exception:
            for table, hash_key, range_key, item in before:
                table.delete_item(hash_key, range_key)
                if item is not None and range_key is not None:
                    table.items[hash_key][range_key] = item
                elif item is not None:
                    table.items[hash_key] = item
            raise

    class Copy:
        @staticmethod
        def deepcopy(value: Any) -> Any:
            return value if isinstance(value, Table) else copy.deepcopy(value)

    DynamoDBBackend.transact_write_items = transact_write_items
    dynamodb_models.copy = Copy


def _place(backend: DynamoDBBackend, write: dict[str, Any]) -> list[tuple[Table, Any, Any, Any]]:
    """Where a transaction's write goes, and a copy of what is there; nothing for one that will be refused."""
    order: dict[str, Any] = next(iter(write.values()), {})
    table, key = backend.tables.get(order.get("TableName", "")), order.get("Item") or order.get("Key") or {}
    if table is None or any(name not in key for name in (table.hash_key_attr, table.range_key_attr) if name):
        return []
    hash_key = DynamoType(key[table.hash_key_attr])
    range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
    return [(table, hash_key, range_key, copy.deepcopy(table.get_item(hash_key, range_key)))]


def _cache_parsers() -> None:
    """Every path is parsed each time it is used, and the definition at every start (40 ms)."""
    json_path.parse = functools.lru_cache(4096)(parse_path)
    result_path.parse = functools.lru_cache(4096)(parse_plain_path)
    parse = AmazonStateLanguageParser.parse
    programs = functools.lru_cache(64)(lambda definition: parse(definition)[0])

    def own_copy(definition: str) -> tuple[Any, None]:  # a program keeps what it is doing in itself
        return copy.deepcopy(programs(definition)), None

    AmazonStateLanguageParser.parse = staticmethod(own_copy)
