"""Names of tools and ids of calls, as the Messages API takes them: `^[a-zA-Z0-9_-]{1,128}$`.

Ours may have dots, and ids that other providers made may have anything.
"""

import re
from hashlib import sha256

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
