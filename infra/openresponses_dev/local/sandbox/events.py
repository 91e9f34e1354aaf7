"""Asynchronous invocations: events that wait for a sandbox, are tried again, and go to a destination when they fail.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from openresponses_dev.local.background import Background
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.calls import Call, InvokeError
from openresponses_dev.local.sandbox.functions import Function

PATIENCE_S = 6 * 3600.0
"""How long an event waits for a sandbox: AWS's default, whatever the template says, since the lack of them is ours."""
MAX_DEPTH = 16
"""As often AWS lets a function lead to itself: https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html"""


class Events:
    """The queues of these functions. AWS waits minutes before it runs one again; nobody waits for them here."""

    def __init__(self, functions: Iterable[Function], background: Background, log: Log) -> None:
        self._functions = {function.spec.arn: function for function in functions}
        self._background, self._log = background, log

    def put(self, arn: str, event: bytes, depth: int = 0) -> None:
        """`depth` is how many failures led here."""
        function = self._functions[arn]
        self._background.spawn(self._run(function, event, depth), f"asynchronous invocation of {function.spec.name}")

    async def _run(self, function: Function, event: bytes, depth: int) -> None:
        config, attempts = function.spec.event_invoke, 0
        while True:
            try:
                call = await function.invoke_soon(event, None, patience_s=PATIENCE_S)
            except InvokeError as error:
                if not function.closed:
                    self._log.say(f"{function.spec.name} asynchronously  dropped  {error}", failed=True)
                return
            attempts += 1
            async for _ in call.chunks():
                pass
            if function.closed:
                return  # killed with the local cloud
            again = f", attempt {attempts}" if attempts > 1 else ""
            status = "failed" if call.error else "done"
            self._log.say(call.summary(f"asynchronously{again}", status), failed=call.error is not None)
            if call.error is None:
                return
            if attempts > config.retries:
                break
        if config.on_failure in self._functions and depth < MAX_DEPTH:
            record = _record(function.spec.arn, event, call, attempts)
            self.put(config.on_failure, json.dumps(record, ensure_ascii=False).encode(), depth + 1)


def _record(arn: str, event: bytes, call: Call, attempts: int) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    assert call.error is not None
    context = {
        "requestId": call.request_id,
        "functionArn": f"{arn}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": attempts,
    }
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": context,
        "requestPayload": json.loads(event),
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": json.loads(call.error.document()),
    }
