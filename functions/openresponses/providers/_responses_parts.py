"""Content parts for the Responses API. Raises RequestError for what can't be sent.

Source: the Open Responses schema, `InputTextContentParam` and its like; `file_id` is OpenAI's.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.content import InputFile, InputImage, Part
from ._parts import data_url, said, unsendable, within


def content(parts: Sequence[Part], where: str) -> list[JsonValue]:
    """`where` is the list's place in the request, if any."""
    return [_part(part, within(where, f"[{index}]")) for index, part in enumerate(parts)]


def spoken(parts: Sequence[Part]) -> str:
    """What a message of the assistant says, as one string: every server takes that, and no id is needed for it."""
    return "".join(said(part) or "" for part in parts)


def _part(part: Part, where: str) -> JsonObject:
    if (text := said(part)) is not None:
        return {"type": "input_text", "text": text}
    match part:
        case InputImage():
            return _image(part, where)
        case InputFile():
            return _file(part, where)
        case _:
            raise unsendable(f"a part of type {part.type!r}", where)


def _image(part: InputImage, where: str) -> JsonObject:
    image: JsonObject = {"type": "input_image", "detail": part.detail}
    if part.image_url:
        return {**image, "image_url": part.image_url}
    if part.file_id:
        return {**image, "file_id": part.file_id}
    raise unsendable("'input_image' without 'image_url'", where)


def _file(part: InputFile, where: str) -> JsonObject:
    if part.file_url:
        return {"type": "input_file", "file_url": part.file_url}
    if part.file_id:
        return {"type": "input_file", "file_id": part.file_id}
    if not part.file_data:
        raise unsendable("'input_file' without 'file_data' and 'file_url'", where)
    name = part.filename or "file"
    return {"type": "input_file", "filename": name, "file_data": data_url(part.file_data, name)}
