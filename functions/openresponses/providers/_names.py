"""Names of tools and ids of calls that upstreams make up. Each dialect has what its own takes of ours."""

import re

MAX_CALL_ID = 256


class CallIds:
    """The ids of one turn's calls. One that is too long, or that another call has already, is none: the engine then
    makes one."""

    def __init__(self, longest: int = MAX_CALL_ID) -> None:
        self._longest = longest
        self._known: set[str] = set()

    def take(self, call_id: str) -> str:
        usable = call_id not in self._known and len(call_id) <= self._longest
        self._known.add(call_id)
        return call_id if usable else ""


def item_name(name: str) -> str:
    """What models make up must still be a name that an item can hold: the model is then told of its mistake."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "_", name)[:128]
