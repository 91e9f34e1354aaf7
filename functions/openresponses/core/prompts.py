"""A prompt: the part of a request that stays the same, kept under a name, with placeholders for what does not.

A placeholder is written `{{name}}`. It stands in the instructions, or in the text of a message. Pure: no I/O.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..schema.content import InputFile, InputImage, InputText, OutputText, Part, Text
from ..schema.items import Message
from ..schema.request import CreateResponse, Variable
from .credentials import refuse_credentials
from .errors import ContextTooLong, RequestError

SETTINGS = (
    "model",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tool_calls",
    "text",
    "reasoning",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "max_output_tokens",
    "truncation",
    "service_tier",
    "provider",
)
"""What a prompt may say besides its messages, which are in `input`. It counts where the request says nothing."""
MAX_FILLED = 2**23
"""Characters that the variables of a request fill in. One may stand in many places: what it makes is no longer than the
longest request, and a little more."""
NAME = re.compile("[A-Za-z0-9_.-]{1,128}")
"""Of a prompt."""
_VERSION = re.compile("[1-9][0-9]{0,8}")
_Value: TypeAlias = str | InputImage | InputFile
_TEXTS = (InputText, OutputText, Text)
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]{0,63})\s*\}\}")


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """The newest of a prompt. Versions count from 1; `created_at` is in Unix seconds."""

    id: str
    version: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """`body` has some of the fields of a request; its `input` are messages, or a text that the user says."""

    version: int
    body: CreateResponse


def number_of(version: str) -> int | None:
    """Of a version as a request names it; None for what is no number of one."""
    return int(version) if _VERSION.fullmatch(version) else None


def messages_of(body: CreateResponse) -> list[Message]:
    """Raises RequestError for an item that is no message."""
    if isinstance(body.input, str):
        return [Message(role="user", content=[InputText(text=body.input)])] if body.input else []
    messages: list[Message] = []
    for index, item in enumerate(body.input or ()):
        if not isinstance(item, Message):
            raise RequestError("A prompt has messages and no other items", param=f"input[{index}].type")
        messages.append(item.model_copy(update={"id": ""}))  # an id names an item of one response
    return messages


def placeholders(body: CreateResponse) -> list[str]:
    """The names of the variables that a prompt needs, in order. Raises as `messages_of` does, and RequestError for
    credentials: a prompt is stored.
    """
    refuse_credentials(body.tools or (), "tools")
    names = [name for _, text in _texts(body, messages_of(body)) for name in _PLACEHOLDER.findall(text)]
    return list(dict.fromkeys(names))


def filled(body: CreateResponse, variables: Mapping[str, Variable]) -> tuple[str | None, list[Message]]:
    """The instructions and the messages of a prompt, with its variables in their places.

    What a variable says is not looked through for placeholders. An image or a file can stand where a user speaks.
    Variables that the prompt does not need are left out. Raises RequestError, or ContextTooLong.
    """
    messages, length = messages_of(body), 0
    values = {name: value.text if isinstance(value, InputText) else value for name, value in variables.items()}
    for role, text in _texts(body, messages):
        for name in _PLACEHOLDER.findall(text):
            param = f"prompt.variables.{name}"
            if name not in values:
                raise RequestError(
                    f"The prompt needs the variable {name!r}", param=param, code="missing_required_parameter"
                )
            if role != "user" and not isinstance(values[name], str):
                raise RequestError(
                    f"The variable {name!r} must be text: it stands in what the {role} says", param=param
                )
            length += _length(values[name])
    if length > MAX_FILLED:
        raise ContextTooLong(
            f"With these variables the prompt is too long: they fill in at most {MAX_FILLED >> 20} MiB",
            param="prompt.variables",
        )
    instructions = body.instructions and "".join(str(each) for each in _pieces(body.instructions, values))
    return instructions, [_filled_message(message, values) for message in messages]


def _texts(body: CreateResponse, messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Each text that may have placeholders, after the role of who says it."""
    yield "system", body.instructions or ""
    for message in messages:
        for part in message.content:
            if isinstance(part, _TEXTS):
                yield message.role, part.text


def _filled_message(message: Message, values: Mapping[str, _Value]) -> Message:
    content: list[Part] = []
    for part in message.content:
        if not isinstance(part, _TEXTS):
            content.append(part)
            continue
        pieces = _pieces(part.text, values)
        content += [part.model_copy(update={"text": each}) if isinstance(each, str) else each for each in pieces]
    return message.model_copy(update={"content": content})


def _pieces(text: str, values: Mapping[str, _Value]) -> list[_Value]:
    """The text with its variables, as one piece unless there is something else in it."""
    split = _PLACEHOLDER.split(text)  # every second one is a name
    pieces, texts = list[_Value](), list[str]()
    for piece in (values[each] if position % 2 else each for position, each in enumerate(split)):
        if isinstance(piece, str):
            texts.append(piece)
            continue
        pieces += [*filter(None, ["".join(texts)]), piece]
        texts.clear()
    rest = "".join(texts)
    return [*pieces, rest] if rest or not pieces else pieces


def _length(value: _Value) -> int:
    match value:
        case str():
            return len(value)
        case InputImage():
            return len(value.image_url or "")
        case InputFile():
            return len(value.file_data or "")
