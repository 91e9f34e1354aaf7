"""What a call is answered with: its size, and how an answer that comes later is read."""

import json

from pydantic import ConfigDict, JsonValue

from ..schema.base import Wire
from . import errors

MAX_OUTPUT = 20_000
"""Characters of an output that the model is shown."""
MAX_FAILURE = 1_000
"""Characters of an error that the model is shown."""
REFUSED = "ToolFailed"
"""The error of a failure whose cause is written for the model."""
_OF_AWS = ("States.", "Lambda.", "Sandbox.", "Runtime.")
_TOLD = {
    "States.Timeout": "Nobody answered in time. Go on without it.",
    "States.DataLimitExceeded": "The answer was larger than 256 KiB, which the server can't take. Go on without it.",
}


class Answer(Wire):
    """`call_id` is the id of the call's item. If the call `failed`, the text says what went wrong."""

    model_config = ConfigDict(defer_build=True)

    call_id: str
    text: str
    failed: bool = False


def limited(text: str, limit: int = MAX_OUTPUT) -> str:
    """`text`, cut to what the model is shown."""
    text = text.encode(errors="replace").decode()  # JSON over HTTP has no place for a lone surrogate
    return text if len(text) <= limit else f"{text[:limit]}\n[cut: this is {limit} of {len(text)} characters]"


def answered(call_id: str, value: JsonValue) -> Answer:
    """Somebody answered with `value`: text as it is, anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Answer(call_id=call_id, text=limited(text))


def failed(call_id: str, error: str, cause: str) -> Answer:
    """Somebody answered that the call failed, or nobody did. Of what failed on this side, nothing is told in detail."""
    if error in _TOLD:
        text = _TOLD[error]
    elif error.startswith(_OF_AWS) or error == "Crashed" or hasattr(errors, error):
        text = "The tool can't be called. Go on without it."
    elif error == REFUSED:
        text = cause
    else:
        text = ": ".join(each for each in ("The tool failed", error, cause) if each)
    return Answer(call_id=call_id, text=limited(text or "The tool failed", MAX_FAILURE), failed=True)
