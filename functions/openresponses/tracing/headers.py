"""The headers that a collector wants. The parameter `otlp/headers` has them, as JSON: {<name>: <secret>}."""

from collections.abc import Mapping
from typing import Literal, cast

from ..core.ports import Parameters
from ..core.settings import Headers, parse_document

FOLDER: Literal["otlp"] = "otlp"
NAME = "headers"


async def headers_in(parameters: Parameters) -> Mapping[str, str]:
    """Raises StorageUnavailable, and ValueError that quotes no value."""
    text = await parameters.get(f"{FOLDER}/{NAME}")
    return {} if text is None else parse_headers(text)


def parse_headers(text: str) -> Mapping[str, str]:
    """Raises BadField."""
    return parse_document(cast("type[Mapping[str, str]]", Headers), text)
