"""Content parts for Gemini. Raises RequestError for what can't be one.

Sources: Gemini API, "Content" (`Part`), "File input methods" and "Function calling" (multimodal responses).
"""

from collections.abc import Sequence
from mimetypes import guess_type
from urllib.parse import urlsplit

from ..schema.base import JsonObject
from ..schema.content import InputFile, InputImage, InputText, InputVideo, Part
from ._parts import said, unsendable

_IN_RESPONSES = ("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain")
"""What a function's response may hold, from Gemini 3 on. Earlier models refuse all of it."""


def user_parts(parts: Sequence[Part]) -> list[JsonObject]:
    """Without empty texts, which Vertex refuses."""
    sent = [_user_part(part) for part in parts]
    return [part for part in sent if part != {"text": ""}]


def response_parts(
    output: str | Sequence[Part], call_id: str, *, media: bool
) -> tuple[str, list[JsonObject], list[JsonObject]]:
    """A function's response: its text, its media, and the parts that it can't hold, for the user's turn after it.

    `media`: the model takes media in a response. A URL isn't taken there by the Gemini API, only data is.
    """
    if isinstance(output, str):
        return output, [], []
    texts = [part.text for part in output if isinstance(part, InputText)]
    parts = [_user_part(part) for part in output if not isinstance(part, InputText)]
    held = [part for part in parts if media and _mime_type(part) in _IN_RESPONSES]
    attached = [part for part in parts if part not in held]
    if attached:
        texts.append(f"[{len(attached)} attached in the user's turn that follows]")
        attached.insert(0, {"text": f"Attached by the tool call {call_id}:"})
    return "\n".join(texts), held, attached


def _mime_type(part: JsonObject) -> str:
    data = part.get("inlineData")
    return str(data["mimeType"]) if isinstance(data, dict) else ""


def _user_part(part: Part) -> JsonObject:
    if (text := said(part)) is not None:
        return {"text": text}
    match part:
        case InputImage():
            if not part.image_url:
                raise unsendable("'input_image' without 'image_url'")
            return _media(part.image_url, part.type)
        case InputVideo():
            return _media(part.video_url, part.type)
        case InputFile():
            return _file(part)
        case _:
            raise unsendable(f"a part of type {part.type!r} in a message of role 'user'")


def _file(part: InputFile) -> JsonObject:
    data = part.file_data
    if not data:
        if not part.file_url:
            raise unsendable("'input_file' without 'file_data' or 'file_url'")
        return _media(part.file_url, part.type, part.filename)
    if data.startswith("data:"):
        return _media(data, part.type, part.filename)
    mime_type = guess_type(part.filename or "")[0]
    if not mime_type:
        raise unsendable("'input_file' with 'file_data' whose type neither a data URL nor 'filename' tells")
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def _media(url: str, kind: str, filename: str | None = None) -> JsonObject:
    """Google fetches URLs itself: of the web, of YouTube, of its own files and of Cloud Storage."""
    if url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        mime_type, *parameters = head.split(";")
        if "base64" not in parameters or not mime_type:
            raise unsendable(f"{kind!r} with a data URL that is not base64 or has no type")
        return {"inlineData": {"mimeType": mime_type, "data": data}}
    if not url.startswith(("https://", "http://", "gs://")):
        raise unsendable(f"{kind!r} with a URL that is neither of http, of Cloud Storage, nor of data")
    file: JsonObject = {"fileUri": url}
    if mime_type := guess_type(filename or "")[0] or guess_type(urlsplit(url).path)[0]:
        file["mimeType"] = mime_type
    return {"fileData": file}
