"""The context object of an invocation: the attributes of the one that Lambda passes."""

from __future__ import annotations

import os
import time

from .client import Invocation


class LambdaContext:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html, and the deadline as an epoch time in ms."""

    identity = None
    client_context = None

    def __init__(self, invocation: Invocation) -> None:
        headers = invocation.headers
        self.aws_request_id = invocation.id
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self.trace_id = headers.get("lambda-runtime-trace-id")
        self.deadline_ms = int(headers.get("lambda-runtime-deadline-ms") or 0)
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 0)
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self.deadline_ms - int(time.time() * 1000))
