"""What a model reads of a tool's result: its text, and its images. Of what no model reads, it is told that it is there.

Source: 2026-07-28, server/tools, "Tool Result". Older results have the same parts.
"""

import json
import re

from pydantic import JsonValue

from ...core.answers import MAX_OUTPUT, limited
from ...core.ports import ToolOutput
from ...schema.base import JsonObject
from ...schema.content import InputImage, InputText
from .failures import McpFailure

MAX_IMAGES = 8
MAX_IMAGE_CHARACTERS = 2 * 1024 * 1024
"""Of all images of a result, in base64: they are kept with the item, and sent with each later turn."""
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""Those that every provider reads."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def output_of(result: JsonObject) -> ToolOutput:
    """`item` has the parts that the model reads, where there are images among them, and the error of a failed call."""
    blocks = result.get("content")
    reader = _Reader()
    for block in blocks if isinstance(blocks, list) else []:
        reader.read(block)
    if not reader.texts and "structuredContent" in result:
        reader.tell(json.dumps(result["structuredContent"], ensure_ascii=False))
    text = "\n".join(reader.texts)
    if result.get("isError") is True:
        text = text or "The tool failed, and gave no reason."
        error: JsonObject = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": limited(text)}]}
        return ToolOutput(text, failed=True, item={"error": error})
    return ToolOutput(text, item={"content": reader.content()} if reader.images else {})


def failed(failure: McpFailure) -> ToolOutput:
    return ToolOutput(failure.message, failed=True, item={"error": failure.error})


class _Reader:
    """Blocks of content, read one after the other. `texts` stand for all of them, `images` are counted."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.images = 0
        self._parts: list[list[str] | InputImage] = []
        self._size = 0

    def tell(self, text: str) -> None:
        self.texts.append(text)
        last = self._parts[-1] if self._parts else None
        if isinstance(last, list):
            last.append(text)
        else:
            self._parts.append([text])

    def content(self) -> list[JsonValue]:
        """Input parts. All text together is as long as an output may be."""
        parts: list[JsonValue] = []
        left = MAX_OUTPUT
        for part in self._parts:
            if isinstance(part, list):
                text = "\n".join(part)
                part, left = InputText(text=limited(text, left)), max(0, left - len(text))
            parts.append(part.model_dump(mode="json"))
        return parts

    def read(self, block: JsonValue) -> None:
        match block:
            case {"type": "text", "text": str(text)}:
                self.tell(text)
            case {"type": "image", "data": str(data), "mimeType": str(kind)}:
                self._image(kind, data)
            case {"type": "audio", "data": str(data), "mimeType": str(kind)}:
                self.tell(_left_out(kind, data))
            case {"type": "resource", "resource": {"text": str(text)}}:
                self.tell(text)
            case {"type": "resource", "resource": {"blob": str(data), **rest}}:
                kind = rest.get("mimeType")
                self._image(kind if isinstance(kind, str) else "binary", data)
            case {"type": "resource_link", "uri": str(uri), **rest}:
                told = [
                    f"{name}: {rest[name]}" for name in ("name", "title", "mimeType", "description") if rest.get(name)
                ]
                self.tell("; ".join([f"[resource {uri}", *told]) + "]")
            case _:
                self.tell("[a part of the result, not shown]")

    def _image(self, kind: str, data: str) -> None:
        data = "".join(data.split())
        fits = self.images < MAX_IMAGES and self._size + len(data) <= MAX_IMAGE_CHARACTERS
        if kind not in _IMAGES or not fits or not _BASE64.fullmatch(data):
            self.tell(_left_out(kind, data))
            return
        self.images, self._size = self.images + 1, self._size + len(data)
        self.texts.append(f"[{kind}]")
        self._parts.append(InputImage(image_url=f"data:{kind};base64,{data}"))


def _left_out(kind: str, data: str) -> str:
    return f"[{kind}, {len(data) * 3 // 4} bytes, not shown]"
