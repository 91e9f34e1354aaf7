"""A run's context: the conversation before it, and the items that its request refers to."""

from collections.abc import Iterator, Sequence

from ..core.errors import NotFound, RequestError
from ..core.ids import owner
from ..core.ports import Store
from ..core.records import Record
from ..schema.items import Item, ItemReference
from ..schema.request import CreateResponse


def shown(record: Record) -> list[Item]:
    """A stored response's part of a conversation. Items of dead turns are never shown again."""
    return [*record.input, *(item for item in record.response.output if item.id not in record.discarded)]


async def inherited(store: Store, record: Record) -> list[Item]:
    """The items of the chain before `record`, oldest first. Raises NotFound if part of the chain is gone."""
    items: list[Item] = []
    for response_id, ancestor in zip(record.ancestors, await store.load(record.ancestors), strict=True):
        if ancestor is None:
            raise _previous_gone(f"The response {record.response.id!r} goes on from {response_id!r}, which is gone")
        items += shown(ancestor)
    return items


async def previous(store: Store, response_id: str) -> Record:
    """The response that a request goes on from. Raises NotFound, or RequestError if it is not over."""
    (record,) = await store.load([response_id])
    if record is None:
        raise _previous_gone(f"There is no response {response_id!r}")
    if not record.over:
        raise RequestError(
            f"The response {response_id!r} is still in progress",
            param="previous_response_id",
            code="previous_response_in_progress",
        )
    return record


def _previous_gone(why: str) -> NotFound:
    return NotFound(why, param="previous_response_id", code="previous_response_not_found")


async def referenced(store: Store, request: CreateResponse) -> dict[str, Item]:
    """The stored items that the input refers to, by id. An item's id names its response. Raises NotFound."""
    wanted = {
        item.id: index
        for index, item in enumerate(request.input if isinstance(request.input, list) else ())
        if isinstance(item, ItemReference)
    }
    owners = sorted({owner(item_id) for item_id in wanted})
    records = await store.load(owners) if owners else []
    found = {item.id: item for record in records if record for item in shown(record)}
    for item_id, index in wanted.items():
        if item_id not in found:
            raise NotFound(f"There is no stored item {item_id!r}", param=f"input[{index}].id", code="item_not_found")
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
