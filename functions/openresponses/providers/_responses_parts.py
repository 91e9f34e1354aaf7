"""Content parts for the Responses API. Raises RequestError for what can't be sent.

Source: the Open Responses schema, `InputTextContentParam` and its like; `file_id` is OpenAI's.
"""

from collections.abc import Sequence
from mimetypes import guess_type
from typing import NoReturn

from pydantic import JsonValue

from ..core.errors import RequestError
from ..schema.base import JsonObject
from ..schema.content import InputFile, InputImage, InputText, OutputText, Part, Refusal, Text


def content(parts: Sequence[Part], where: str | None) -> list[JsonValue]:
    """`where` is the list's path in the request; None where the request doesn't hold it."""
    return [_part(part, f"{where}[{index}]" if where else "input") for index, part in enumerate(parts)]


def spoken(parts: Sequence[Part]) -> str:
    """What a message of the assistant says, as one string: every server takes that, and no id is needed for it."""
    return "".join(
        part.refusal if isinstance(part, Refusal) else part.text
        for part in parts
        if isinstance(part, InputText | OutputText | Text | Refusal)
    )


def refuse(what: str, param: str) -> NoReturn:
    raise RequestError(f"This model's provider can't be sent {what}", param=param, code="unsupported_content")


def _part(part: Part, where: str) -> JsonObject:
    match part:
        case InputText() | OutputText() | Text():
            return {"type": "input_text", "text": part.text}
        case Refusal():
            return {"type": "input_text", "text": part.refusal}
        case InputImage():
            return _image(part, where)
        case InputFile():
            return _file(part, where)
        case _:
            refuse(f"a part of type {part.type!r}", where)


def _image(part: InputImage, where: str) -> JsonObject:
    image: JsonObject = {"type": "input_image", "detail": part.detail}
    if part.image_url:
        return {**image, "image_url": part.image_url}
    if part.file_id:
        return {**image, "file_id": part.file_id}
    refuse("'input_image' without 'image_url'", where)


def _file(part: InputFile, where: str) -> JsonObject:
    if part.file_url:
        return {"type": "input_file", "file_url": part.file_url}
    if part.file_id:
        return {"type": "input_file", "file_id": part.file_id}
    if not part.file_data:
        refuse("'input_file' without 'file_data' and 'file_url'", where)
    name, data = part.filename or "file", part.file_data
    if not data.startswith("data:"):
        data = f"data:{guess_type(name)[0] or 'application/octet-stream'};base64,{data}"
    return {"type": "input_file", "filename": name, "file_data": data}
