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
        config, call, attempts = function.spec.event_invoke, None, 0
        while attempts <= config.retries:
            try:
                call = await function.invoke_soon(event, None, patience_s=config.max_age_s)
            except InvokeError as error:
                self._log.say(f"{function.spec.name} asynchronously  dropped  {error}", failed=True)
                break
            attempts += 1
            async for _ in call.chunks():
                pass
            again = f", attempt {attempts}" if attempts > 1 else ""
            status = "failed" if call.error else "done"
            self._log.say(call.summary(f"asynchronously{again}", status), failed=call.error is not None)
            if call.error is None:
                return
        if config.on_failure in self._functions and depth < MAX_DEPTH and not function.closed:
            record = _record(function.spec.arn, event, call, attempts)
            self.put(config.on_failure, json.dumps(record, ensure_ascii=False).encode(), depth + 1)


def _record(arn: str, event: bytes, call: Call | None, attempts: int) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    exhausted = call is not None and call.error is not None
    context = {
        "requestId": call.request_id if call else "",
        "functionArn": f"{arn}:$LATEST",
        "condition": "RetriesExhausted" if exhausted else "EventAgeExceeded",
        "approximateInvokeCount": attempts,
    }
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": context,
        "requestPayload": json.loads(event),
    }
    if call is not None and call.error is not None:
        record["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
        record["responsePayload"] = json.loads(call.error.document())
    return record
