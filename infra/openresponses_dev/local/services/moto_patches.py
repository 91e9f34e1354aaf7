# pyright: basic, reportPrivateUsage=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false
"""Everything that we change in moto (5.2) besides its stores, which `moto_stores` does: where it is not AWS, and where
it is slow. Each patch says what it replaces, and tests/statemachine/test_moto_patches.py shows it.
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
from typing import Any

from botocore.exceptions import ClientError
from jsonpath_ng.ext.parser import parse as parse_path
from jsonpath_ng.parser import parse as parse_plain_path
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
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
from moto.stepfunctions.parser.asl.eval.states import TaskData
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.responses import StepFunctionResponse

from openresponses_dev.local.sandbox.calls import InvokeError
from openresponses_dev.local.sandbox.lambda_api import Answer, LambdaApi
from openresponses_dev.local.services import moto_stores, moto_streams
from openresponses_dev.local.services.task_tokens import Task, TaskTokens

START_LIMIT_S = 30.0
ANSWER_LIMIT_S = 15.0
"""How long an answer waits for the task of an execution that was just started again."""
_lambda_api: LambdaApi | None = None
_tokens = TaskTokens()
_retry_scale = 1.0
_status = threading.RLock()


def apply(lambda_api: LambdaApi, tokens: TaskTokens, *, retry_scale: float = 1.0) -> None:
    """Patch moto, once a process, and invoke functions through `lambda_api` from now on.

    `retry_scale` shortens the delays of Retry, for tests.
    """
    global _lambda_api, _retry_scale, _tokens
    _lambda_api, _retry_scale, _tokens = lambda_api, retry_scale, tokens
    _apply_once()


@functools.cache
def _apply_once() -> None:
    moto_stores.apply()
    moto_streams.apply()
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
        token = _token_in(parameters)
        if token and _tokens.was_asked(token):
            return {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": None}
        try:
            answer: Answer = _api().invoke(parameters["FunctionName"], parameters.get("Payload") or b"{}")
        except InvokeError as refused:
            details = {"Error": {"Code": refused.error_type, "Message": str(refused)}}
            metadata = {"ResponseMetadata": {"HTTPStatusCode": refused.status, "RequestId": ""}}
            raise ClientError({**details, **metadata}, "Invoke") from refused
        result: dict[str, Any] = {"StatusCode": answer.status, "ExecutedVersion": "$LATEST"}
        result["Payload"] = json.loads(answer.payload or b"null")
        if token and not answer.function_error:
            _tokens.asked(token)
        return {**result, "FunctionError": "Unhandled"} if answer.function_error else result

    LambdaSimpleBackend.invoke = invoke
    lambda_eval_utils._invoke_lambda_function = invoke_for_task


def _token_in(parameters: dict[str, Any]) -> str | None:
    payload = parameters.get("Payload")
    given = json.loads(payload) if isinstance(payload, str | bytes) else payload
    return given.get("task_token") if isinstance(given, dict) else None


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

    def send_success(self: StepFunctionResponse) -> ActionResult:
        token, output = map(self._get_param, ("taskToken", "output"))
        try:
            json.loads(output)
        except ValueError as error:
            raise JsonRESTError("InvalidOutput", str(error)) from None
        if len(output.encode()) > MAX_OUTPUT:
            raise JsonRESTError("InvalidOutput", "it is too long")
        _answer(self.stepfunction_backend, token, CallbackOutcomeSuccess(token, output))
        return ActionResult({})

    def send_failure(self: StepFunctionResponse) -> ActionResult:
        token, error, cause = map(self._get_param, ("taskToken", "error", "cause"))
        _answer(self.stepfunction_backend, token, CallbackOutcomeFailure(token, error, cause))
        return ActionResult({})

    execute = StateTaskServiceCallback._eval_execution

    def execute_with_own_token(self: StateTaskServiceCallback, env: Environment) -> None:
        if self.resource.condition != ResourceCondition.WaitForTaskToken:
            execute(self, env)
            return
        context = env.states.context_object
        token = context.update_task_token()
        if task := _task_of(context.context_object_data):
            token = _tokens.begin(task, token)
            context.context_object_data["Task"] = TaskData(Token=token)
        endpoint = env.callback_pool_manager.add(token)
        if outcome := _outcome(token):
            endpoint.notify(outcome)
        try:
            execute(self, env)
        finally:
            endpoint.report(CallbackConsumerLeft())

    StepFunctionResponse.send_task_success = send_success
    StepFunctionResponse.send_task_failure = send_failure
    StateTaskServiceCallback._eval_execution = execute_with_own_token


def _answer(backend: Any, token: str, outcome: CallbackOutcome) -> None:
    """Give the task of this token what it waits for."""
    until = time.monotonic() + ANSWER_LIMIT_S
    while _tokens.expected(token) and time.monotonic() < until:
        time.sleep(0.02)
    if _tokens.answer_to(token):
        raise JsonRESTError("TaskTimedOut", "Provided task does not exist anymore")
    with _status:
        for execution in backend._get_executions():
            if endpoint := _pool(execution).get(token):
                over = endpoint.get_outcome() or endpoint.consumer_error or execution.status != "RUNNING"
                if over:
                    raise JsonRESTError("TaskTimedOut", "Provided task does not exist anymore")
                _tokens.answered(token, _told(outcome))
                endpoint.notify(outcome)
                return
    raise JsonRESTError("InvalidToken", "Invalid token")


def _task_of(context: Any) -> Task | None:
    """What the state machine's own state Park waits for."""
    try:
        return Task(context["Execution"]["Input"]["response_id"], context["Map"]["Item"]["Value"]["id"])
    except (LookupError, TypeError):
        return None


def _told(outcome: CallbackOutcome) -> dict[str, Any]:
    match outcome:
        case CallbackOutcomeSuccess():
            return {"output": outcome.output}
        case CallbackOutcomeFailure():
            return {"error": outcome.error, "cause": outcome.cause}
        case _:
            raise TypeError(type(outcome).__name__)


def _outcome(token: str) -> CallbackOutcome | None:
    """What the task of this token was answered before a restart."""
    match _tokens.answer_to(token):
        case None:
            return None
        case {"output": output}:
            return CallbackOutcomeSuccess(token, output)
        case answer:
            return CallbackOutcomeFailure(token, answer["error"], answer["cause"])


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


# Speed


def _cache_parsers() -> None:
    """Every path is parsed each time it is used, and the definition at every start (40 ms)."""
    json_path.parse = functools.lru_cache(4096)(parse_path)
    result_path.parse = functools.lru_cache(4096)(parse_plain_path)
    parse = AmazonStateLanguageParser.parse
    programs = functools.lru_cache(64)(lambda definition: parse(definition)[0])

    def own_copy(definition: str) -> tuple[Any, None]:  # a program keeps what it is doing in itself
        return copy.deepcopy(programs(definition)), None

    AmazonStateLanguageParser.parse = staticmethod(own_copy)
