"""The headers that a collector wants. The parameter `otlp/headers` has them, as JSON: {<name>: <secret>}."""

from collections.abc import Mapping
from typing import Literal

from ..core.ports import Parameters
from ..core.settings import parse_document

FOLDER: Literal["otlp"] = "otlp"
NAME = "headers"


async def headers_in(parameters: Parameters) -> Mapping[str, str]:
    """Raises StorageUnavailable, and ValueError that quotes no value."""
    text = await parameters.get(f"{FOLDER}/{NAME}")
    return {} if text is None else parse_headers(text)


def parse_headers(text: str) -> Mapping[str, str]:
    """Raises ValueError that quotes no value."""
    headers = parse_document(dict[str, str], text)
    for name, value in headers.items():
        if not (name.isascii() and value.isascii() and value.isprintable()):
            raise ValueError(f"{name!r}: HTTP can't carry it")
    return headers
