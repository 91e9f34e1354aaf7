"""What a client can name of a provider's account: files, containers, stores, tunnels, buckets.

All tenants share that account, and the provider asks for no more than an id. So a request names nothing there, unless
the provider's option `shared_files` says that all who may use it may read what is in its account.

Sources: OpenAI's SDK of November 2026, `types/responses/tool_param.py` and `response_input_param.py`; Google's
"Files API" and "Input files" (`fileUri`); the API reference of Bedrock, `S3Location`.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from pydantic import JsonValue

from ...core.errors import RequestError
from ...core.turn import Turn
from ...schema.content import InputFile, InputImage, InputVideo, Part
from ...schema.items import CustomToolCallOutput, FunctionCallOutput, Message
from ...schema.server_items import HostedToolCall
from ...schema.tools import UpstreamTool
from .history import place
from .json import fields
from .parts import within

_NAMES = frozenset(
    {
        *("file_id", "file_ids", "vector_store_ids", "container", "container_id", "skill_id", "tunnel_id"),
        *("s3Location", "fileData", "file_data", "fileUri", "file_uri"),
    }
)
"""Fields of vendors' objects that name something of an account, as vendors spell them."""
_AUTO = frozenset({"type", "memory_limit", "network_policy"})
"""What a container of `code_interpreter` may say: that it is a new one, and how it is."""
_ANSWERS = (FunctionCallOutput, CustomToolCallOutput, HostedToolCall)
_URLS = ("https://", "http://", "data:")
_GOOGLE = ".googleapis.com"
"""Google's own hosts: its servers may read there as the account that asks them."""


def refuse_shared(turn: Turn, base_url: str) -> None:
    """Raises RequestError, naming the field, for a turn that names something of the provider's account."""
    for tool in turn.upstream_tools:
        if name := _named_by(tool):
            raise _refused(f"{name!r} of the tool {tool.type!r}", "tools")
    own = _host(base_url)
    for where, part in _parts(turn):
        field, value = _pointer(part)
        if field == "file_id" or (field and not _is_elsewhere(value, own)):
            raise _refused(repr(field), within(where, f".{field}") or "input")


def names_shared(value: JsonValue) -> bool:
    """Whether an object of a vendor's, which a client may have made up, names something of the account."""
    return any(True for _ in _named_in(value))


def _refused(what: str, param: str) -> RequestError:
    message = f"{what} names something in the account of this model's provider, which clients may not use here"
    return RequestError(message, param=param, code="unsupported_content")


def _named_by(tool: UpstreamTool) -> str | None:
    """The field of `tool` that names something stored. A search of files has nothing else to search."""
    definition = tool.model_dump(mode="json")
    container = fields(definition.get("container"))
    if tool.type == "file_search":
        return "vector_store_ids"
    if container.get("type") == "auto" and container.keys() <= _AUTO:
        definition.pop("container")
    return next(_named_in(definition), None)


def _named_in(value: JsonValue) -> Iterator[str]:
    match value:
        case dict():
            for name, part in value.items():
                if name in _NAMES and part is not None:
                    yield name
                yield from _named_in(part)
        case list():
            for part in value:
                yield from _named_in(part)
        case _:
            pass


def _parts(turn: Turn) -> Iterator[tuple[str, Part]]:
    """Every part of the context that is not text alone, with its place in the request, if it has one."""
    for index, item in enumerate(turn.items):
        parts: Sequence[Part] = ()
        name = "content"
        if isinstance(item, Message):
            parts = item.content
        elif isinstance(item, _ANSWERS) and item.output is not None and not isinstance(item.output, str):
            parts, name = item.output, "output"
        for at, part in enumerate(parts):
            if isinstance(part, InputImage | InputFile | InputVideo):
                yield within(place(turn, index, name), f"[{at}]"), part


def _pointer(part: Part) -> tuple[str, str]:
    """The field by which a part says where its data is, and what it says; empty for one that brings its data along."""
    match part:
        case InputImage(file_id=str(value)) | InputFile(file_id=str(value)) if value:
            return "file_id", value
        case InputImage(image_url=str(value)) if value:
            return "image_url", value
        case InputFile(file_url=str(value)) if value:
            return "file_url", value
        case InputVideo(video_url=value):
            return "video_url", value
        case _:
            return "", ""


def _is_elsewhere(url: str, own: str) -> bool:
    """Whether it is data, or an address on the web that is neither the provider's own nor Google's."""
    start = url[:8].lower()
    if not start.startswith(_URLS):
        return False
    if start.startswith("data:"):
        return True
    host = _host(url)
    return bool(host) and host != own and not f".{host}".endswith(_GOOGLE)


def _host(url: str) -> str:
    """Without what browsers and servers read in different ways: such an address has no host."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
    plain = host.isascii() and not set(host) & set("%\\@ ")
    return host if plain and "\\" not in url.partition("?")[0] else ""
