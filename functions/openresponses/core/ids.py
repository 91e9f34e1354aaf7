"""The ids of items."""

from collections.abc import Callable


def item_ids(response_id: str) -> Callable[[str, int], str]:
    """Makes ids that embed their response's id, so that a reference to an item can be found without an index."""
    token = response_id.removeprefix("resp_")
    return lambda prefix, index: f"{prefix}_{token}{index:04x}"


def owner(item_id: str) -> str:
    """The id of the response that an item belongs to: 32 hex digits after the item's prefix."""
    return f"resp_{item_id.partition('_')[2][:32]}"
