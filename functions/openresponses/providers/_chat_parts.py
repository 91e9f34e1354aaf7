"""Content parts for Chat Completions: what goes into one message. Raises RequestError for what can't.

Source: the API reference of OpenAI, "Create chat completion", `messages`.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.content import InputFile, InputImage, InputText, InputVideo, Part
from ._parts import data_url, plain_text, said, unsendable


def user_content(parts: Sequence[Part]) -> JsonValue:
    """A string where there is only text: some servers know no other form."""
    if all(said(part) is not None for part in parts):
        return plain_text(parts, "user", "\n")
    return [_part(part) for part in parts]


def tool_content(output: str | Sequence[Part], call_id: str) -> tuple[str, list[JsonObject]]:
    """A tool message's text, and the parts that it can't hold: servers take only text there."""
    if isinstance(output, str):
        return output, []
    texts = [part.text for part in output if isinstance(part, InputText)]
    attached = [_part(part) for part in output if not isinstance(part, InputText)]
    if attached:
        texts.append(f"[{len(attached)} attached in the message of the user that follows]")
        attached.insert(0, {"type": "text", "text": f"Attached by the tool call {call_id}:"})
    return "\n".join(texts), attached


def _part(part: Part) -> JsonObject:
    if (text := said(part)) is not None:
        return {"type": "text", "text": text}
    match part:
        case InputImage():
            return _image(part)
        case InputFile():
            return _file(part)
        case InputVideo():
            raise unsendable("'input_video'")
        case _:
            raise unsendable(f"a part of type {part.type!r} in a message of role 'user'")


def _image(part: InputImage) -> JsonObject:
    if not part.image_url:
        raise unsendable("'input_image' without 'image_url'")
    image: JsonObject = {"url": part.image_url}
    if part.detail != "auto":
        image["detail"] = "high" if part.detail == "original" else part.detail
    return {"type": "image_url", "image_url": image}


def _file(part: InputFile) -> JsonObject:
    if not part.file_data:
        raise unsendable("'input_file' without 'file_data'")
    name = part.filename or "file"
    return {"type": "file", "file": {"filename": name, "file_data": data_url(part.file_data, name)}}
