"""Closing an item that a worker left open when it died, from the events in the log."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

from ..core.server_calls import closing as closing_call
from ..schema import events as ev
from ..schema.content import OutputText, ReasoningText, Refusal, SummaryText
from ..schema.items import FunctionCall, Item, Message, Reasoning
from ..schema.server_items import ServerCall

_Part = OutputText | Refusal | ReasoningText | SummaryText


def closing(item: Item, index: int, said: Iterable[ev.Event]) -> Iterator[ev.Event]:
    """The events that the log lacks until the item is done, as incomplete. `said` are those that it has."""
    own = [event for event in said if getattr(event, "output_index", None) == index]
    if isinstance(item, ServerCall):
        yield from closing_call(item, index, own)
        return
    changes: dict[str, object] = {"status": "incomplete"} if "status" in type(item).model_fields else {}
    if isinstance(item, Message | Reasoning):
        parts = _parts(own, "content")
        summaries = _parts(own, "summary")
        for n, part in enumerate(summaries):
            yield from part.closing(item.id, index, n)
        for n, part in enumerate(parts):
            yield from part.closing(item.id, index, n)
        changes["content"] = [part.value for part in parts]
        if isinstance(item, Reasoning):
            changes["summary"] = [part.value for part in summaries]
    elif isinstance(item, FunctionCall):
        changes["arguments"] = "".join(event.delta for event in own if isinstance(event, ev.ArgumentsDelta))
        if not any(isinstance(event, ev.ArgumentsDone) for event in own):
            yield ev.ArgumentsDone(item_id=item.id, output_index=index, arguments=str(changes["arguments"]))
    yield ev.OutputItemDone(output_index=index, item=item.model_copy(update=changes))


@dataclass
class _Open:
    """One part of an item, as far as the log has it."""

    value: _Part
    said: bool = False
    done: bool = False

    def read(self, event: ev.Event) -> "_Open":
        part = self.value
        match event, part:
            case ev.OutputTextDelta(), OutputText():
                logprobs = [*part.logprobs, *event.logprobs]
                self.value = part.model_copy(update={"text": part.text + event.delta, "logprobs": logprobs})
            case ev.AnnotationAdded(annotation=added), OutputText() if added is not None:
                self.value = part.model_copy(update={"annotations": [*part.annotations, added]})
            case ev.RefusalDelta(), Refusal():
                self.value = Refusal(refusal=part.refusal + event.delta)
            case ((ev.ReasoningDelta() | ev.SummaryTextDelta()), (ReasoningText() | SummaryText())):
                self.value = part.model_copy(update={"text": part.text + event.delta})
            case ((ev.OutputTextDone() | ev.RefusalDone() | ev.ReasoningDone() | ev.SummaryTextDone()), _):
                self.said = True
            case ((ev.ContentPartDone() | ev.SummaryPartDone()), _):
                self.done = True
            case _:
                pass
        return self

    def closing(self, item_id: str, index: int, n: int) -> Iterator[ev.Event]:
        if not self.said:
            yield self._text_done(item_id, index, n)
        if not self.done and isinstance(self.value, SummaryText):
            yield ev.SummaryPartDone(item_id=item_id, output_index=index, summary_index=n, part=self.value)
        elif not self.done:
            yield ev.ContentPartDone(item_id=item_id, output_index=index, content_index=n, part=self.value)

    def _text_done(self, item_id: str, at: int, n: int) -> ev.Event:
        match self.value:
            case OutputText(text=text, logprobs=logprobs):
                return ev.OutputTextDone(
                    item_id=item_id, output_index=at, content_index=n, text=text, logprobs=logprobs
                )
            case Refusal(refusal=refusal):
                return ev.RefusalDone(item_id=item_id, output_index=at, content_index=n, refusal=refusal)
            case ReasoningText(text=text):
                return ev.ReasoningDone(item_id=item_id, output_index=at, content_index=n, text=text)
            case SummaryText(text=text):
                return ev.SummaryTextDone(item_id=item_id, output_index=at, summary_index=n, text=text)


def _parts(own: list[ev.Event], place: str) -> list[_Open]:
    added = ev.SummaryPartAdded if place == "summary" else ev.ContentPartAdded
    number: Callable[[ev.Event], int | None] = lambda event: getattr(event, f"{place}_index", None)  # noqa: E731
    opened = [event.part for event in own if isinstance(event, added)]
    known = [part for part in opened if isinstance(part, _Part)]
    return [
        reduce(_Open.read, (event for event in own if number(event) == n), _Open(part)) for n, part in enumerate(known)
    ]
