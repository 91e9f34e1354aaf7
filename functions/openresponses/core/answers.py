"""What a call is answered with whose tool answers later."""

from pydantic import ConfigDict

from ..schema.base import Wire


class Answer(Wire):
    """`call_id` is the id of the call's item. If the call `failed`, the text says what went wrong."""

    model_config = ConfigDict(defer_build=True)

    call_id: str
    text: str
    failed: bool = False
