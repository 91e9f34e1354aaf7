"""What a compaction item holds: a summary, or a provider's own state, and items that it carries. Sealed for the tenant.

A summary is sealed for no target, so any model can go on from it. A provider's own state is sealed for the target that
made it: nobody else can read that.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Container, Sequence

from pydantic import ConfigDict, ValidationError

from ..core import deltas as d
from ..core.citations import numbers_of
from ..core.errors import CompactionFailed, RequestError, StreamViolation
from ..core.ports import Seal
from ..core.run import OfferedTool
from ..core.shown import shown
from ..core.surrogates import whole
from ..schema.base import Wire
from ..schema.content import InputText
from ..schema.items import ClientCall, Compaction, CustomToolCall, FunctionCall, Item, Message
from ..schema.limits import MAX_SEALED

MAX_SUMMARY = 512 * 1024
"""Characters. No model says more than 128,000 tokens at once. Sealed, each has at most 16 (12 in JSON, then base64)."""
_OWN = "compaction of "
"""Begins the name that a provider's own state is sealed for: the state of its reasoning has another."""
_BEFORE = (
    "The earlier part of this conversation was replaced by this summary, which the model wrote. What it says was "
    "asked, decided and done; go on from there.\n\n"
)


class Contents(Wire):
    """`summary` or `own` is empty. `items` follow the summary, but for what the user said last, which precedes it."""

    model_config = ConfigDict(defer_build=True)

    summary: str = ""
    own: str = ""
    items: list[Item] = []


async def contents_of(seal: Seal, item: Compaction, targets: Sequence[str], param: str) -> Contents:
    """What `item` holds. Raises RequestError, naming it, if it was not sealed here for this tenant, or can't be read by
    any of `targets`.
    """
    opened = await _opened(seal, item)
    if opened is None:
        message = f"The compaction item {item.id!r} was altered, or is not this server's, or not yours"
        raise RequestError(message, param=param, code="invalid_encrypted_content")
    target, contents = opened
    if target and target not in targets:
        message = f"The compaction item {item.id!r} holds what {target!r} made, which no other model can read"
        raise RequestError(message, param=param, code="invalid_encrypted_content")
    return contents


async def _opened(seal: Seal, item: Compaction) -> tuple[str, Contents] | None:
    """The target that it was sealed for, if it was for one, and what it holds."""
    found = await seal.open(item.encrypted_content)
    target = found[0].removeprefix(_OWN) if found else ""
    if not found or (found[0] and target == found[0]):
        return None
    try:
        return target, Contents.model_validate_json(found[1])
    except ValidationError:
        return None


async def carried(seal: Seal, item: Compaction) -> list[Item]:
    """The items that it carries; none if it can't be opened."""
    opened = await _opened(seal, item)
    return opened[1].items if opened else []


def told(
    item: Compaction, contents: Contents, tools: Sequence[OfferedTool], called: Container[str], made: Container[str]
) -> list[Item]:
    """The items that stand for `item` in a turn. `called` are the ids of calls before it, which are not shown twice.
    `made` are the requests for approval whose calls are shown after it.
    """
    messages = [each for each in contents.items if isinstance(each, Message) and each.role == "user"]
    kept = [each for each in contents.items if each not in messages]
    rest = [each for each in shown(kept, tools, numbers_of(kept)).items if each.id not in made]
    again = any(
        isinstance(each, FunctionCall | CustomToolCall | ClientCall) and each.call_id in called for each in rest
    )
    rest = [] if again else rest
    if contents.own:
        return [item.model_copy(update={"encrypted_content": contents.own, "created_by": None}), *rest]
    summary = Message(id=item.id, role="user", content=[InputText(text=_BEFORE + contents.summary)])
    return [*messages, summary, *rest]


async def compacted(
    seal: Seal, deltas: AsyncIterator[d.Delta], target: str, keeps: Sequence[Item]
) -> AsyncGenerator[d.Delta, None]:
    """The deltas of a turn that compacts: `Compacted`, with what an item is to hold, in the place of all words.

    Raises CompactionFailed for a turn that made no summary, or half of one.
    """
    said, size, own = list[str](), 0, ""
    async for delta in deltas:
        match delta:
            case d.Text():
                size += len(delta.text)
                if size > MAX_SUMMARY:
                    raise StreamViolation(f"The summary is too long: it may have {MAX_SUMMARY:,} characters")
                said.append(delta.text)
            case d.Compacted():
                own = whole(delta.data)
            case d.Finish():
                summary = whole("".join(said)).strip()
                if delta.reason != "stop" or not (own or summary):
                    raise CompactionFailed("The model wrote no summary of the conversation, or not all of it")
                yield d.Compacted(await _sealed(seal, target, own, summary, keeps))
                yield delta
            case d.Usage():
                yield delta
            case _:
                pass


async def _sealed(seal: Seal, target: str, own: str, summary: str, keeps: Sequence[Item]) -> str:
    contents = Contents(own=own, summary="" if own else summary, items=[*keeps])
    sealed = await seal.seal(_OWN + target if own else "", contents.model_dump_json())
    if len(sealed) > MAX_SEALED:
        raise StreamViolation(f"What was compacted is too long: sealed, it may have {MAX_SEALED:,} characters")
    return sealed
