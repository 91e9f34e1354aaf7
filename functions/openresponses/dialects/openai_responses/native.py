"""The provider's own compaction: `/responses/compact`.

Its wire: `openai.types.responses.ResponseCompactParams` and `CompactedResponse`.
"""

from collections.abc import AsyncIterator, Iterator

from ...core import deltas as d
from ...core.errors import StreamViolation
from ...schema.base import JsonObject
from .._shared.events import Decoder, Objects, object_of
from .._shared.http_dialect import WireTurn
from .._shared.json import fields, objects, text
from .stream import usage_of

_TAKEN = ("model", "input", "instructions", "prompt_cache_key", "service_tier")


def compaction(body: JsonObject) -> WireTurn:
    """`body` is what a turn would be asked with."""
    asked: JsonObject = {name: body[name] for name in _TAKEN if name in body}
    return WireTurn("/responses/compact", asked, CompactionDecoder(), {"accept": "application/json"}, whole=_whole)


async def _whole(chunks: AsyncIterator[bytes]) -> Objects:
    yield object_of(b"".join([chunk async for chunk in chunks]))


class CompactionDecoder(Decoder):
    """Of the window, the item: the messages beside it are those that the server has itself."""

    def feed(self, event: JsonObject, /) -> Iterator[d.Delta]:
        made = [item for item in objects(event.get("output")) if item.get("type") == "compaction"]
        state = text(made[-1].get("encrypted_content")) if made else ""
        if not state:
            raise StreamViolation("The provider answered without a compaction item")
        yield d.Compacted(state)
        if used := fields(event.get("usage")):
            yield d.Usage(usage_of(used))
        self.over = True
        yield d.Finish("stop")
