"""Names of tools and ids of calls: how they fit on a wire, and what comes back. Each dialect has its own limits."""

import re
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

from ...core.run import OfferedTool

MAX_CALL_ID = 256
"""The most characters that the `call_id` of an item can have."""


class Naming:
    """Both ways between names of ours and those on one wire, one to one.

    A name stays as it is if it fits `pattern` and has at most `longest` characters. Any other is cut, its unfit
    characters are replaced, and its hash is added: the result is the same in every turn, so that the provider's cache
    finds the prompt again. `prefix` begins such a result. `names` are those of the offered tools: they come first, so
    that no name of a past call takes theirs.
    """

    def __init__(
        self, longest: int, names: Iterable[str] = (), *, pattern: str = "[a-zA-Z0-9_-]+", prefix: str = ""
    ) -> None:
        self._longest, self._pattern, self._prefix = longest, re.compile(pattern), prefix
        self._times = Counter[str]()
        self._wire: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        for name in sorted(names, key=lambda name: not self._fits(name)):
            self.wire(name)

    def wire(self, name: str) -> str:
        """The name on the wire."""
        if name not in self._wire:
            self._wire[name] = self.another(name)
        return self._wire[name]

    def another(self, name: str) -> str:
        """A name on the wire that nothing else has, even if `name` has one: ids of calls may come again."""
        fitted = self._fitted(name)
        while True:
            self._times[fitted] += 1
            times = self._times[fitted]
            made = fitted if times == 1 else self._fitted(f"{fitted}_{times}")
            if made not in self._ours:
                self._ours[made] = name
                return made

    def ours(self, wire: str) -> str:
        """The name of the tool that the model calls."""
        return self._ours.get(wire) or item_name(wire)

    def _fits(self, name: str) -> bool:
        return len(name) <= self._longest and self._pattern.fullmatch(name) is not None

    def _fitted(self, name: str) -> str:
        if self._fits(name):
            return name
        digest = sha256(name.encode(errors="replace")).hexdigest()
        room = self._longest - 9
        if room <= 0:
            return digest[: self._longest]
        return f"{re.sub('[^a-zA-Z0-9_-]', '_', self._prefix + name)[:room]}_{digest[:8]}"


def tool_names(tools: Iterable[OfferedTool]) -> Naming:
    """The limits of most wires: 64 letters, digits, `_` and `-`."""
    return Naming(64, (tool.name for tool in tools))


class CallIds:
    """The ids that a provider sends with one turn's calls. An id that is too long, or that an earlier call of the turn
    has, becomes an empty one: the engine then makes an id."""

    def __init__(self, longest: int = MAX_CALL_ID) -> None:
        self._longest = longest
        self._known: set[str] = set()

    def take(self, call_id: str) -> str:
        usable = call_id not in self._known and len(call_id) <= self._longest
        self._known.add(call_id)
        return call_id if usable else ""


def item_name(name: str) -> str:
    """A name that an item can hold, of one that a model made up: the model can then be told of its mistake."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "_", name)[:128]
