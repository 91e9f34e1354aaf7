"""A handler for the stock runtime."""

import json
import os
import time
from pathlib import Path


def handler(event, context):
    request = json.loads(event["body"] or "{}")
    if "raise" in request:
        raise ValueError(request["raise"])
    if "touch" in request:
        Path(request["touch"]).touch()
    while "await" in request and not Path(request["await"]).exists():
        time.sleep(0.005)
    if "answer" in request:
        return request["answer"]
    seen = {"id": event["pathParameters"]["id"], "pid": os.getpid(), "request_id": context.aws_request_id}
    return {"statusCode": 201, "headers": {"X-Kind": "buffered"}, "body": json.dumps(seen)}
