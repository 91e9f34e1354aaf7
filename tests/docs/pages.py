"""The pages of the documentation, and the code blocks in them. Knows nothing of how a block is run.

HTML comments right before a block say how it is treated; a reader of the page does not see them:

| comment | meaning |
|---|---|
| `<!-- terminal: server -->` | runs in another terminal; what it exports is pasted into the first one |
| `<!-- file: PATH -->` | is the content of this file |
| `<!-- prints: TEXT -->` | its output contains this text |
| `<!-- needs: aws -->`, `<!-- needs: key -->` | needs an AWS account, or a vendor's key: left out |
| `<!-- needs: docker -->` | needs Docker: left out |
| `<!-- needs: a choice -->` | offers several commands, of which a reader chooses one: left out |
| `<!-- run by: .ci/run -->` | is a step of `.ci/run` of its own: left out |
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[2]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]
MARKS = {"terminal", "file", "prints", "needs", "run by"}

_BLOCK = re.compile(
    r"^(?P<marks>(?:[ ]*<!--[^\n]*-->\n\n?)*)^(?P<indent>[ ]*)(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"<!--\s*([a-z ]+?):\s*(.*?)\s*-->")


@dataclass(frozen=True, slots=True)
class Block:
    """`before` is the page's text up to the block. `marks` are (name, value), in order."""

    page: Path
    line: int
    language: str
    text: str
    marks: tuple[tuple[str, str], ...]
    before: str

    def marked(self, name: str) -> list[str]:
        return [value for mark, value in self.marks if mark == name]

    @property
    def left_out(self) -> bool:
        return bool(self.marked("needs") or self.marked("run by"))

    @property
    def runs(self) -> bool:
        return bool(self.marked("file")) or (self.language in ("sh", "python") and not self.left_out)

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPO)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, found.start("fence")) + 1,
            found["language"],
            textwrap.dedent(found["text"]),
            tuple(_MARK.findall(found["marks"])),
            text[: found.start()],
        )
        for found in _BLOCK.finditer(text)
    ]
