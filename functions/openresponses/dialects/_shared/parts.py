"""Content parts, as far as all dialects agree on them."""

from collections.abc import Sequence
from mimetypes import guess_type

from ...core.errors import RequestError
from ...schema.content import InputText, OutputText, Part, ReasoningText, Refusal, Text


def unsendable(what: str, where: str = "") -> RequestError:
    """`where` is the place of it in the request; empty if it has none, as in a stored response."""
    message = f"This model's provider can't be sent {what}"
    return RequestError(message, param=where or "input", code="unsupported_content")


def within(where: str, rest: str) -> str:
    """The place of a part of what is at `where`; empty if `where` is."""
    return where and where + rest


def said(part: Part) -> str | None:
    """A part's text; None for a part that isn't text."""
    match part:
        case InputText() | OutputText() | Text():
            return part.text
        case Refusal():
            return part.refusal
        case _:
            return None


def plain_text(parts: Sequence[Part], role: str, separator: str = "", where: str = "") -> str:
    """The text of a message that can hold nothing else, without the reasoning in an assistant's message.

    Raises RequestError for a part that isn't text.
    """
    texts: list[str] = []
    for index, part in enumerate(parts):
        if isinstance(part, ReasoningText) and role == "assistant":
            continue
        text = said(part)
        if text is None:
            raise unsendable(f"a part of type {part.type!r} in a message of role {role!r}", within(where, f"[{index}]"))
        texts.append(text)
    return separator.join(texts)


def data_url(data: str, filename: str) -> str:
    """A file's data as a data URL. The data may be one already; otherwise it is base64."""
    if data.startswith("data:"):
        return data
    return f"data:{guess_type(filename)[0] or 'application/octet-stream'};base64,{data}"
