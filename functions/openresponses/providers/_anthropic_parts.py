"""Content parts to content blocks. Raises RequestError for what no block can hold.

Source: the API reference, "Create a Message", `messages`; "Vision" and "PDF support".
"""

import base64
import binascii
from collections.abc import Sequence
from mimetypes import guess_type

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.content import InputFile, InputImage, Part, ReasoningText
from ._parts import said, unsendable

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF = "application/pdf"
_PDF_START = "JVBERi"
"""Base64 of `%PDF`."""


def text_block(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def blocks(parts: Sequence[Part], role: str) -> list[JsonValue]:
    """Texts without a word are left out: the API refuses a block of them."""
    made = [_block(part, role) for part in parts if not isinstance(part, ReasoningText)]
    return [block for block in made if block.get("type") != "text" or str(block["text"]).strip()]


def result_content(output: str | Sequence[Part]) -> JsonValue:
    """None where there is nothing: a result may be empty."""
    if isinstance(output, str):
        return output if output.strip() else None
    return blocks(output, "tool") or None


def _block(part: Part, role: str) -> JsonObject:
    if (text := said(part)) is not None:
        return text_block(text)
    match part:
        case InputImage() if role != "assistant":
            return _image(part)
        case InputFile() if role != "assistant":
            return _file(part)
        case _:
            raise unsendable(f"a part of type {part.type!r} in a message of role {role!r}")


def _image(part: InputImage) -> JsonObject:
    if not part.image_url:
        raise unsendable("'input_image' without 'image_url'")
    if not part.image_url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": part.image_url}}
    media_type, data = _data_url(part.image_url)
    if media_type not in IMAGES:
        raise unsendable(f"an image of type {media_type!r}: it takes {', '.join(IMAGES)}")
    return _base64("image", media_type, data)


def _file(part: InputFile) -> JsonObject:
    if part.file_url:
        return _titled({"type": "document", "source": {"type": "url", "url": part.file_url}}, part)
    if not part.file_data:
        raise unsendable("'input_file' without 'file_data' or 'file_url'")
    media_type, data = _data_url(part.file_data)
    if not media_type:
        media_type = PDF if data.startswith(_PDF_START) else guess_type(part.filename or "")[0] or ""
    if media_type in IMAGES:
        return _base64("image", media_type, data)
    if media_type == PDF:
        return _titled(_base64("document", media_type, data), part)
    if media_type.startswith("text/") or media_type in ("application/json", "application/xml"):
        source: JsonObject = {"type": "text", "media_type": "text/plain", "data": _decoded(data)}
        return _titled({"type": "document", "source": source}, part)
    raise unsendable(f"a file of type {media_type or 'unknown'!r}: it takes PDF, text and images")


def _base64(kind: str, media_type: str, data: str) -> JsonObject:
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


def _titled(document: JsonObject, part: InputFile) -> JsonObject:
    return {**document, "title": part.filename[:500]} if part.filename else document


def _data_url(value: str) -> tuple[str, str]:
    """Its media type and its base64; no type for bare base64."""
    if not value.startswith("data:"):
        return "", value
    head, _, data = value.removeprefix("data:").partition(",")
    media_type, *parameters = head.split(";")
    if "base64" not in parameters:
        raise unsendable("a data URL that is not base64")
    return media_type.lower(), data


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise unsendable("a text file that is not base64 of UTF-8") from None
