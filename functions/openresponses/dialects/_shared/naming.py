"""Names of tools and ids of calls that upstreams make up. Each dialect has what its own takes of ours."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from urllib.parse import quote

from ...core.errors import RequestError
from ...core.run import OfferedTool
from ...schema.items import CustomToolCall, FunctionCall, HostedToolCall, Item

ANTHROPIC = "anthropic:"
"""Begins the type of an item that is a block of a tool that the vendor ran: its `block`, to go back as it came."""
OF_VENDOR_S_TOOLS = ("_tool_use", "_tool_result")
"""Ends the types of such blocks."""
_MAX = 128
_TAKEN = re.compile(rf"[a-zA-Z0-9_-]{{1,{_MAX}}}")
_TOGETHER = "+"


def wire_name(name: str) -> str:
    """`name`, or where it isn't taken, one that only `name` has: as much of it as can stay, and its hash."""
    if _TAKEN.fullmatch(name):
        return name
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', name)[: _MAX - 9]}_{sha256(name.encode()).hexdigest()[:8]}"


def made_together(call_id: str) -> str:
    """The id of a call that the model made together with the call before it, which this server runs, or refuses.

    Such a call's item has its output too, so that nothing else would tell parallel calls from calls of several
    turns, once they are history. But calls must go back as they came: "Parallel tool use" warns that a model
    that sees its calls answered one by one stops making them in parallel, and thinking between two calls of a
    message is valid only there ("Preserved thinking").
    """
    return call_id + _TOGETHER if call_id else ""


def is_made_together(call_id: str) -> bool:
    return call_id.endswith(_TOGETHER)


def vendor_id(call_id: str) -> str:
    return wire_name(call_id.removesuffix(_TOGETHER))


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


MAX_NAME = 64
"""Of a function. 128 by today's reference; 64 by that of many models and SDKs."""


def function_name(name: str) -> str:
    """Begins with a letter or an underscore. The same for the same name always, so that histories keep theirs.

    Source: Gemini API, "FunctionDeclaration". Our own names may have dots and dashes too, as Gemini's may.
    """
    if re.fullmatch(rf"[a-zA-Z_][a-zA-Z0-9_.-]{{0,{MAX_NAME - 1}}}", name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"_{name[: MAX_NAME - len(digest) - 2]}_{digest}"


def model_path(model: str) -> str:
    """`models/<model>`; a name with a collection keeps it: `tunedModels/...`, `publishers/google/models/...`.

    Raises RequestError for a name that would lead elsewhere.
    """
    segments = model.split("/") if "/" in model else ["models", model]
    if any(segment in ("", ".", "..") for segment in segments):
        raise RequestError("This is not a model's name", param="model")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


_FITTING = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class UpstreamNames:
    """Which name a tool has upstream. `ours` leads back to the tool's `name`."""

    def __init__(self, tools: Iterable[OfferedTool]) -> None:
        tools = list(tools)
        self.ours = {tool.name: tool.name for tool in tools if _FITTING.fullmatch(tool.name)}
        for tool in tools:
            if tool.name not in self.ours:
                name = _fitted(tool.name)
                while name in self.ours:
                    name = _fitted(name + ".")
                self.ours[name] = tool.name
        self._upstream = {ours: upstream for upstream, ours in self.ours.items()}

    def upstream(self, name: str) -> str:
        return self._upstream.get(name) or (name if _FITTING.fullmatch(name) else _fitted(name))


def call_ids(items: Sequence[Item]) -> dict[int, str]:
    """The calls' ids, by their indexes among the items.

    An id may come again in a later turn, since some servers number from 0: it is then made another one.
    """
    ids, times = dict[int, str](), Counter[str]()
    for index, item in enumerate(items):
        if isinstance(item, FunctionCall | CustomToolCall | HostedToolCall):
            ids[index] = _call_id(item.call_id, times[item.call_id])
            times[item.call_id] += 1
    return ids


def _call_id(call_id: str, times: int) -> str:
    if not times and _FITTING.fullmatch(call_id):
        return call_id
    return f"call_{sha256(f'{times} {call_id}'.encode()).hexdigest()[:32]}"


def _fitted(name: str) -> str:
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', name)[:55]}_{sha256(name.encode()).hexdigest()[:8]}"


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
