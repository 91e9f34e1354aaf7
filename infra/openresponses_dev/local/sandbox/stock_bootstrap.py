"""What Lambda's own Python runtime does, in small: one handler, `module.attribute`, called with (event, context).

It runs in the sandbox as a script, on the standard library alone, and must import nothing of this project.
"""

from __future__ import annotations

import gc
import http.client
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_PREFIX = "/2018-06-01/runtime"
_UNAUTHORIZED = "Unauthorized"
"""What an authorizer raises as its answer: the gateway tells of it. The real runtime prints a traceback of it too."""
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"


class LambdaContext:
    """The fields of the context object that functions read."""

    def __init__(self, headers: http.client.HTTPMessage) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))


def main() -> None:
    # The script's own folder would otherwise come before the function's modules.
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    gc.disable()  # nothing of what is imported is garbage, and to look for it takes a fifth of the time
    try:
        handler = _load(os.environ["_HANDLER"])
    except BaseException as error:
        _post(api, "/init/error", _document(error), {_ERROR_TYPE: f"Runtime.{_init_error_name(error)}"})
        sys.exit(1)
    gc.enable()
    try:
        while True:
            _serve_one(api, handler)
    except (ConnectionError, http.client.HTTPException):
        sys.exit("the Runtime API is gone")


def _load(name: str) -> Callable[[Any, LambdaContext], Any]:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module.replace("/", ".")), attribute)


def _serve_one(api: http.client.HTTPConnection, handler: Callable[[Any, LambdaContext], Any]) -> None:
    api.request("GET", f"{_PREFIX}/invocation/next")
    answer = api.getresponse()
    event = json.loads(answer.read())
    context = LambdaContext(answer.headers)
    os.environ["_X_AMZN_TRACE_ID"] = answer.headers.get("Lambda-Runtime-Trace-Id", "")
    echo = {"Lambda-Runtime-Invocation-Id": answer.headers.get("Lambda-Runtime-Invocation-Id", "")}
    path = f"/invocation/{context.aws_request_id}"
    try:
        body = json.dumps(handler(event, context), ensure_ascii=False).encode()
    except Exception as error:
        if str(error) != _UNAUTHORIZED:
            traceback.print_exc()
        _post(api, f"{path}/error", _document(error), {**echo, _ERROR_TYPE: type(error).__name__})
    else:
        _post(api, f"{path}/response", body, echo)


def _post(api: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> None:
    api.request("POST", _PREFIX + path, body, headers)
    api.getresponse().read()


def _init_error_name(error: BaseException) -> str:
    match error:
        case ImportError():
            return "ImportModuleError"
        case AttributeError():
            return "HandlerNotFound"
        case SyntaxError():
            return "UserCodeSyntaxError"
        case _:
            return type(error).__name__


def _document(error: BaseException) -> bytes:
    stack = traceback.format_exception(error)
    return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": stack}).encode()


if __name__ == "__main__":
    main()
