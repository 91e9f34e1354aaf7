"""Content parts for Chat Completions: what goes into one message. Raises RequestError for what can't.

Source: the API reference of OpenAI, "Create chat completion", `messages`.
"""

from collections.abc import Sequence
from mimetypes import guess_type
from typing import NoReturn

from pydantic import JsonValue

from ..core.errors import RequestError
from ..schema.base import JsonObject
from ..schema.content import InputFile, InputImage, InputText, InputVideo, OutputText, Part, Refusal, Text


def user_content(parts: Sequence[Part]) -> JsonValue:
    """A string where there is only text: some servers know no other form."""
    if all(isinstance(part, InputText | OutputText | Text | Refusal) for part in parts):
        return plain_text(parts, "user", "\n")
    return [_part(part) for part in parts]


def plain_text(parts: Sequence[Part], role: str, separator: str = "") -> str:
    texts: list[str] = []
    for part in parts:
        match part:
            case InputText() | OutputText() | Text():
                texts.append(part.text)
            case Refusal():
                texts.append(part.refusal)
            case _:
                refuse(f"a part of type {part.type!r} in a message of role {role!r}")
    return separator.join(texts)


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


def refuse(what: str) -> NoReturn:
    raise RequestError(f"This model's provider can't be sent {what}", param="input", code="unsupported_content")


def _part(part: Part) -> JsonObject:
    match part:
        case InputText() | OutputText() | Text():
            return {"type": "text", "text": part.text}
        case Refusal():
            return {"type": "text", "text": part.refusal}
        case InputImage():
            return _image(part)
        case InputFile():
            return _file(part)
        case InputVideo():
            refuse("'input_video'")
        case _:
            refuse(f"a part of type {part.type!r} in a message of role 'user'")


def _image(part: InputImage) -> JsonObject:
    if not part.image_url:
        refuse("'input_image' without 'image_url'")
    image: JsonObject = {"url": part.image_url}
    if part.detail != "auto":
        image["detail"] = "high" if part.detail == "original" else part.detail
    return {"type": "image_url", "image_url": image}


def _file(part: InputFile) -> JsonObject:
    if not part.file_data:
        refuse("'input_file' without 'file_data'")
    name = part.filename or "file"
    data = part.file_data
    if not data.startswith("data:"):
        data = f"data:{guess_type(name)[0] or 'application/octet-stream'};base64,{data}"
    return {"type": "file", "file": {"filename": name, "file_data": data}}
