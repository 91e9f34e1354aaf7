"""Names of tools and ids of calls, as Bedrock takes them: those of other providers, and of clients, are wider.

Source: the API reference of Amazon Bedrock, `ToolSpecification` and `ToolUseBlock`: letters, digits, `_` and `-`,
up to 64 of them. (The published model has allowed `.` and `:` in ids since; what is narrower is allowed by both.)
"""

import re
from collections.abc import Iterable
from hashlib import sha256

from ._names import item_name

_FITS = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FITS_MISTRAL = re.compile(r"[a-zA-Z0-9]{9}")


class Names:
    """Both ways between the names of offered tools and those on the wire, one to one."""

    def __init__(self, offered: Iterable[str]) -> None:
        offered = tuple(offered)
        self._sent = {name: name for name in offered if _FITS.fullmatch(name)}
        self._meant = dict(self._sent)
        for name in offered:
            self.sent(name)

    def sent(self, name: str) -> str:
        """The name on the wire. One that wasn't offered is a past call's: it gets its own, too."""
        if name not in self._sent:
            fitting = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]
            if fitting in self._meant:
                fitting = f"{fitting[:47]}_{_digest(name)[:16]}"
            self._sent[name] = fitting
            self._meant[fitting] = name
        return self._sent[name]

    def reserve(self, name: str) -> str:
        """A name for a tool of ours, that no other has."""
        while name in self._meant:
            name += "_"
        self._meant[name] = name
        return name

    def meant(self, sent: str) -> str:
        """The tool that the model calls."""
        return self._meant.get(sent) or item_name(sent)


class Ids:
    """The ids of one history's calls. Some providers number theirs anew in each turn; here each must differ."""

    def __init__(self, *, short: bool) -> None:
        self._fits = _FITS_MISTRAL if short else _FITS
        self._prefix, self._size = ("", 9) if short else ("call_", 32)
        self._taken: set[str] = set()

    def take(self, call_id: str) -> str:
        """For the next call: its own id where that fits, or else one that is made of it."""
        sent = call_id if self._fits.fullmatch(call_id) else self._made(call_id)
        while sent in self._taken:
            sent = self._made(f"{call_id} {len(self._taken)}")
        self._taken.add(sent)
        return sent

    def _made(self, text: str) -> str:
        return self._prefix + _digest(text)[: self._size]


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()
