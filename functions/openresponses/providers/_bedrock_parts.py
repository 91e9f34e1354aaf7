"""Content blocks for Converse: text, images, documents, videos, and tool results. Pure.

Raises RequestError for what can't be carried; `where` is its place in the request, if any. Bytes are base64 here, as
they are on the wire. Source: the API reference of Amazon Bedrock, `ContentBlock` and `ToolResultContentBlock`.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from mimetypes import guess_type
from urllib.parse import unquote_to_bytes

from pydantic import JsonValue

from ..schema.base import JsonObject
from ..schema.content import InputFile, InputImage, InputText, InputVideo, Part
from ._bedrock_models import Traits
from ._json import loads
from ._parts import said, unsendable, within
from ._past_calls import NO_OUTPUT

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_VIDEOS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/mpeg": "mpeg",
    "video/x-matroska": "mkv",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "application/json": "txt",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
"""Every other `text/...` is a `txt`."""


class Documents:
    """Names for one request's documents: each its own, and of the characters that Bedrock takes."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, filename: str) -> str:
        stem = filename.rpartition(".")[0] or filename
        name = re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9\s()\[\]-]", "-", stem))[:180].strip() or "document"
        number = 1
        while (unique := name if number == 1 else f"{name} ({number})") in self._taken:
            number += 1
        self._taken.add(unique)
        return unique


def blocks(parts: Sequence[Part], documents: Documents, where: str) -> list[JsonObject]:
    """A user's parts. Blank text is left out: Bedrock refuses it."""
    made: list[JsonObject] = []
    for index, part in enumerate(parts):
        text = said(part)
        if text is None:
            made.append(_media(part, documents, within(where, f"[{index}]")))
        elif text.strip():
            made.append({"text": text})
    return made


def tool_result(
    output: str | Sequence[Part], call_id: str, traits: Traits, documents: Documents, where: str
) -> tuple[list[JsonValue], list[JsonObject]]:
    """A tool result's content, and the blocks that this model doesn't take there."""
    made = blocks([InputText(text=output)] if isinstance(output, str) else output, documents, where)
    inside: list[JsonValue] = []
    outside: list[JsonObject] = []
    for block in made:
        if "text" in block or traits.results & block.keys():
            inside.append(block)
        else:
            outside.append(block)
    if outside:
        inside.append({"text": f"[{len(outside)} attached, see what follows the tools' results]"})
        outside.insert(0, {"text": f"Attached by the tool call {call_id}:"})
    if traits.json_results:
        inside = [_as_json(block) for block in inside]
    return inside or [{"text": NO_OUTPUT}], outside


def _as_json(block: JsonValue) -> JsonValue:
    """Mistral's models read an object where others read text."""
    match block:
        case {"text": str(text)}:
            try:
                value = loads(text)
            except ValueError:
                value = text
            return {"json": value if isinstance(value, dict) else {"output": text}}
        case _:
            return block


def _media(part: Part, documents: Documents, where: str) -> JsonObject:
    match part:
        case InputImage(image_url=str(url)):
            return {"image": _source(url, _IMAGES, within(where, ".image_url"))}
        case InputVideo(video_url=url):
            return {"video": _source(url, _VIDEOS, within(where, ".video_url"))}
        case InputFile(file_data=str(data)):
            if not data.startswith("data:"):
                data = f"data:{guess_type(part.filename or '')[0] or ''};base64,{data}"
            return {"document": _document(part, data, within(where, ".file_data"), documents)}
        case InputFile(file_url=str(url)):
            return {"document": _document(part, url, within(where, ".file_url"), documents)}
        case InputImage() | InputFile():
            raise unsendable(f"{part.type!r} without its data: it knows no 'file_id' of ours", where)
        case _:
            raise unsendable(f"a part of type {part.type!r} in a message of role 'user'", where)


def _document(part: InputFile, url: str, where: str, documents: Documents) -> JsonObject:
    name = part.filename or (url.rpartition("/")[2] if url.startswith("s3:") else "")
    return {"name": documents.name(name), **_source(url, _DOCUMENTS, where, name)}


def _source(url: str, formats: Mapping[str, str], where: str, filename: str = "") -> JsonObject:
    """Of a data URL, or of an object in a bucket."""
    if url.startswith("s3://"):
        media_type = guess_type(url)[0] or ""
        source: JsonObject = {"s3Location": {"uri": url}}
    elif url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        media_type = head.partition(";")[0].lower()
        source = {"bytes": _base64(data, where) if head.endswith(";base64") else _encoded(data)}
    else:
        raise unsendable("a web address: send it as a data URL, or from a bucket as s3://", where)
    if media_type in ("", "application/octet-stream"):
        media_type = guess_type(filename)[0] or ""
    fallback = "txt" if formats is _DOCUMENTS and media_type.startswith("text/") else None
    if (form := formats.get(media_type, fallback)) is None:
        raise unsendable(f"data of type {media_type or 'unknown'!r}, only {sorted(set(formats.values()))}", where)
    return {"format": form, "source": source}


def _base64(data: str, where: str) -> str:
    data = re.sub(r"\s+", "", data)
    try:
        if not base64.b64decode(data, validate=True):
            raise unsendable("data that is empty", where)
    except binascii.Error:
        raise unsendable("data that is not base64", where) from None
    return data


def _encoded(data: str) -> str:
    """A data URL without base64 is percent-encoded."""
    return base64.b64encode(unquote_to_bytes(data)).decode()
