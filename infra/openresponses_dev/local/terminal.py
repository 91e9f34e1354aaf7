"""How text of others gets to a terminal: a model, a provider, a client or a function may write what a terminal obeys
(move the cursor, change the title, write the clipboard, turn the line around). All that is printed goes through here.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable
from typing import TextIO

# C0, DEL and C1 (https://ecma-international.org/publications-and-standards/standards/ecma-48/); what changes the
# direction of text (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters); what ends a line or starts
# a paragraph in Unicode; and halves of a pair, which have no UTF-8.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, keep: str = "\n\t") -> str:
    """`text` with what a terminal would obey written out, as `\\x1b`. `keep` stays as it is."""
    return _OBEYED.sub(lambda found: found[0] if found[0] in keep else _written_out(found[0]), text)


def one_line(text: str) -> str:
    """The same for a cell or a message, which may not pretend to be more than one."""
    return visible(text, keep="")


def say(text: str, to: TextIO | None = None, end: str = "\n") -> None:
    """Print lines, on standard output unless told otherwise."""
    print(visible(text), file=to or sys.stdout, end=end, flush=True)


def body_writer(out: TextIO) -> Callable[[bytes], None]:
    """What writes the chunks of a body: as they are into a file or a pipe, and visibly on a terminal."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(chunk: bytes) -> None:
        if out.isatty():
            out.write(visible(decoder.decode(chunk)))
            out.flush()
        else:
            out.buffer.write(chunk)
            out.buffer.flush()

    return write


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
