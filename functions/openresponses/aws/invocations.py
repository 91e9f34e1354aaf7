"""Invoking a Lambda function asynchronously."""

import json

from ..core.errors import Overloaded, StorageUnavailable
from .clients import Aws, Refused


async def start(aws: Aws, function: str, payload: object) -> None:
    """Put an event into the function's queue. Raises Overloaded if Lambda does not take it."""
    body = json.dumps(payload).encode()
    try:
        await aws.call("lambda", "invoke", FunctionName=function, InvocationType="Event", Payload=body)
    except (StorageUnavailable, Refused) as error:
        raise Overloaded("The server is busy: try again") from error
