"""An event as its JSON, whatever carries it to the client."""

from json.encoder import encode_basestring as _quoted

from ..core.settings import EventNames
from ..schema.events import (
    ArgumentsDelta,
    OutputTextDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamEvent,
    SummaryTextDelta,
)

_RENAMED = {
    "response.reasoning.delta": "response.reasoning_text.delta",
    "response.reasoning.done": "response.reasoning_text.done",
}


def written(event: StreamEvent, names: EventNames) -> tuple[str, str]:
    """The event's type, and what its JSON has between the braces.

    `names`: OpenAI's SDKs and the AI SDK know two of the specification's events by other names.
    """
    kind = event.type
    if names == "openai":
        kind = _RENAMED.get(kind, kind)
    data = _delta_fields(event, kind)
    if data is None:
        data = event.model_dump_json()[1:-1]
        if kind != event.type:
            data = data.replace(f'"type":"{event.type}"', f'"type":"{kind}"', 1)
    return kind, data


_DELTAS: dict[type, tuple[str, str]] = {
    OutputTextDelta: ("content_index", ',"logprobs":[]'),
    RefusalDelta: ("content_index", ""),
    ReasoningDelta: ("content_index", ""),
    SummaryTextDelta: ("summary_index", ""),
    ArgumentsDelta: ("", ""),
}
"""The field that says where in its item a delta belongs, and what follows its text."""


def _delta_fields(event: StreamEvent, kind: str) -> str | None:
    """What `model_dump_json` writes of a delta between its braces, in a third of the time; None for any other event."""
    if (shape := _DELTAS.get(type(event))) is None:
        return None
    fields, (place, rest) = vars(event), shape
    if fields["obfuscation"] is not None or fields.get("logprobs"):
        return None
    where = f'"{place}":{fields[place]},' if place else ""
    return (
        f'"sequence_number":{fields["sequence_number"]},"item_id":{_quoted(fields["item_id"])},"output_index":'
        f'{fields["output_index"]},{where}"type":"{kind}","delta":{_quoted(fields["delta"])}{rest}'
    )
