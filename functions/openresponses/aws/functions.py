"""Invoking Lambda functions. Knows nothing of what they are for."""

import json
import logging
from typing import Any

from pydantic import JsonValue

from ..core.errors import StorageUnavailable
from ..core.ports import ToolOutput
from ..schema.base import JsonObject
from .clients import Aws, Refused

_THREADS = 32
_ATTEMPTS = 3
_log = logging.getLogger(__name__)


class LambdaFunctions:
    """It has threads of its own: functions take long, and storage must not wait for them."""

    def __init__(self, region: str) -> None:
        self._aws = Aws(region, attempts=_ATTEMPTS, threads=_THREADS)

    async def invoke(self, function: str, payload: JsonObject) -> ToolOutput:
        """What the function returns, as text, or why it returned nothing, in words for the model."""
        body = json.dumps(payload).encode()
        try:
            failed, answer = await self._aws.run(lambda: self._invoke(function, body))
        except StorageUnavailable:
            return ToolOutput("The tool is busy or does not answer. Try again later, or go on without it.", failed=True)
        except Refused as refused:
            _log.error("invoking %s was refused: %s", function, refused)
            return ToolOutput(f"The tool can't be called: {refused.code}. Go on without it.", failed=True)
        return output_of(answer, failed=failed)

    def close(self) -> None:
        self._aws.close()

    def _invoke(self, function: str, body: bytes) -> tuple[bool, bytes]:
        answer: dict[str, Any] = self._aws.client("lambda").invoke(FunctionName=function, Payload=body)
        return "FunctionError" in answer, answer["Payload"].read()


def output_of(answer: bytes, *, failed: bool) -> ToolOutput:
    """What the model reads of a function's answer, or of the error document of one that `failed`."""
    try:
        value: JsonValue = json.loads(answer or b"null")
    except (ValueError, RecursionError):
        return ToolOutput("The tool's answer is not JSON.", failed=True)
    if failed:
        return ToolOutput(_failure_of(value), failed=True)
    return ToolOutput(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _failure_of(error: JsonValue) -> str:
    """What an error document of Lambda says, without its stack trace."""
    fields = error if isinstance(error, dict) else {}
    kind, message = fields.get("errorType"), fields.get("errorMessage")
    return f"The tool failed: {': '.join(str(each) for each in (kind, message) if each) or 'it does not say why'}"
