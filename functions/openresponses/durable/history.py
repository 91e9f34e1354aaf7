"""A run's context: the conversation before it, and the items that its request refers to."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress

from ..core.chain import Link, Passage, next_joint, response_link, shown
from ..core.errors import ContextTooLong, NotFound, RequestError, StorageUnavailable
from ..core.ids import owner
from ..core.loading import Allowance
from ..core.records import Record
from ..core.storage import Store
from ..schema.items import InputItem, Item, ItemReference
from ..schema.limits import MAX_REFERRED


async def inherited(store: Store, record: Record, within: Allowance | None = None) -> list[Item]:
    """The items of the chain before `record`, oldest first. Raises NotFound if part of the chain is gone, and
    ContextTooLong.
    """
    return (await loaded(store, record.response.id, record.chain, within))[1]


async def continued(store: Store, record: Record, within: Allowance | None = None) -> tuple[list[Link], list[Item]]:
    """What a response that goes on from `record` inherits: its chain, and the items of it.

    Raises NotFound and ContextTooLong.
    """
    own = shown_of(record)
    chain, items = await loaded(store, record.response.id, record.chain, within)
    return [*chain, response_link(record.response.id, len(own))], [*items, *own]


async def loaded(
    store: Store, response_id: str, chain: Sequence[Link], within: Allowance | None = None
) -> tuple[list[Link], list[Item]]:
    """The chain before a response as it is now, and its items. Raises as `continued` does."""
    passages = await _passages(store, response_id, chain, within)
    links = [
        link.model_copy(update={"items": len(passage.items), "expires": passage.expires})
        for link, passage in zip(chain, passages, strict=True)
    ]
    return links, [item for passage in passages for item in passage.items]


async def grown(store: Store, chain: list[Link], context: Sequence[Item]) -> list[Link]:
    """`chain`, with a chunk in the place of its members if there is one to be made. `context` begins with its items.

    If the chunk can't be stored, the chain stays as it is: the next response tries again.
    """
    joint = next_joint(chain)
    if joint is None:
        return chain
    before, end = chain[: joint.start], joint.start + len(joint.members)
    begin = sum(link.items for link in before)
    with suppress(StorageUnavailable):
        if await store.join(joint, context[begin : begin + joint.chunk.items]):
            return [*before, joint.chunk, *chain[end:]]
    return chain


async def _passages(store: Store, response_id: str, chain: Sequence[Link], within: Allowance | None) -> list[Passage]:
    found = list[Passage]()
    with too_long_is("previous_response_id"):
        passages = await store.load_links(chain, within)
    for link, passage in zip(chain, passages, strict=True):
        if passage is None:
            which = repr(link.first) if link.level == 0 else f"the responses from {link.first!r} to {link.last!r}"
            gone = "which is gone" if link.level == 0 else "and one of them is gone"
            raise previous_gone(f"The response {response_id!r} goes on from {which}, {gone}")
        found.append(passage)
    return found


async def previous(store: Store, response_id: str, within: Allowance | None = None) -> Record:
    """The response that a request goes on from. Raises NotFound, ContextTooLong, or RequestError if it is not over."""
    with too_long_is("previous_response_id"):
        (record,) = await store.load([response_id], within)
    if record is None:
        raise previous_gone(f"There is no response {response_id!r}")
    if not record.over:
        raise RequestError(
            f"The response {response_id!r} is still in progress",
            param="previous_response_id",
            code="previous_response_in_progress",
        )
    return record


def shown_of(record: Record) -> list[Item]:
    return shown(record.input, record.response.output, record.discarded)


def previous_gone(why: str) -> NotFound:
    return NotFound(why, param="previous_response_id", code="previous_response_not_found")


@contextmanager
def too_long_is(param: str) -> Generator[None]:
    """Names what leads to more than a request may load."""
    try:
        yield
    except ContextTooLong as error:
        error.param = param
        raise


async def referenced(
    store: Store, given: Sequence[InputItem], within: Allowance | None = None, field: str = "input"
) -> dict[str, Item]:
    """The stored items that `given` refers to, by id. An item's id names its response. `field` is what errors name.

    Raises NotFound, ContextTooLong, and RequestError for items of too many responses.
    """
    wanted: dict[str, int] = {}
    owners = set[str]()
    for index, item in enumerate(given):
        if isinstance(item, ItemReference):
            wanted[item.id] = index
            owners.add(owner(item.id))
            if len(owners) > MAX_REFERRED:
                raise RequestError(
                    f"An input refers to items of at most {MAX_REFERRED} responses",
                    param=f"{field}[{index}].id",
                    code="too_many_references",
                )
    with too_long_is(field):
        records = await store.load(sorted(owners), within) if owners else []
    found = {item.id: item for record in records if record for item in shown_of(record)}
    for item_id, index in wanted.items():
        if item_id not in found:
            raise NotFound(f"There is no stored item {item_id!r}", param=f"{field}[{index}].id", code="item_not_found")
    return found


def page(
    items: Sequence[Item], *, limit: int, order: str, after: str | None, before: str | None
) -> tuple[list[Item], bool]:
    """One page of a list, and whether there is more. Raises NotFound for a cursor that isn't in the list."""
    listed = list(_each_with_its_own_id(items))
    if order != "asc":
        listed.reverse()
    ids = [item.id for item in listed]
    for name, cursor in (("after", after), ("before", before)):
        if cursor is not None and cursor not in ids:
            raise NotFound(f"There is no item {cursor!r} in this list", param=name, code="item_not_found")
    start = ids.index(after) + 1 if after else 0
    end = ids.index(before) if before else len(listed)
    return listed[start:end][:limit], end - start > limit


def _each_with_its_own_id(items: Sequence[Item]) -> Iterator[Item]:
    """Some clients write one id for all. A cursor must name one item, or a listing would skip some or never end."""
    taken = set[str]()
    for position, item in enumerate(items):
        item_id = item.id
        while item_id in taken:
            item_id = f"{item_id}_{position}"
        taken.add(item_id)
        yield item if item_id == item.id else item.model_copy(update={"id": item_id})
