"""README and docs, checked without running anything. `mkdocs build --strict` checks the links within docs."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import MARKS, PAGES, REPO, Block, blocks

README = REPO / "README.md"
READMES = [README, *sorted((REPO / "examples").rglob("README.md"))]
BLOCKS = [block for page in PAGES for block in blocks(page)]
NEEDS = {"aws": "AWS", "key": "key", "docker": "Docker", "a choice": "choose one"}
"""What a block may need, and the word that tells it to a reader, in the text before the block."""
LANGUAGES = {"sh", "python", "json", "text", "toml"}

each_block = pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in BLOCKS])


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_no_block_is_overlooked() -> None:
    fences = {page: len(re.findall(r"^ *```", page.read_text(), re.MULTILINE)) for page in PAGES}
    assert fences == {page: 2 * len(blocks(page)) for page in PAGES}


@each_block
def test_a_block_says_what_it_is(block: Block) -> None:
    assert block.language in LANGUAGES
    assert {name for name, _ in block.marks} <= MARKS
    assert set(block.marked("run by")) <= {".ci/run"}
    for need in block.marked("needs"):
        paragraph = block.before.rstrip().rpartition("\n\n")[2]
        assert NEEDS[need] in paragraph, "a reader must see what the block needs"


@each_block
def test_a_block_can_be_parsed(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    if block.language == "toml":
        tomllib.loads(block.text)
    if block.language == "python":
        ast.parse(block.text)


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(REPO))) for page in READMES])
def test_the_links_of_a_readme_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)(?:#([^)]*))?\)", page.read_text())
    assert links
    for path, anchor in links:
        target = page.parent / path
        assert target.exists(), path
        assert not anchor or anchor in _anchors(target.read_text()), f"{path}#{anchor}"


def _anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_files_that_are_named_are_there() -> None:
    written = {path for block in BLOCKS for path in block.marked("file")}
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"`((?:functions|infra|tests|docs|events)/[\w./-]+)`", page.read_text())
    }
    assert named
    assert [each for each in sorted(named) if each[1] not in written and not (REPO / each[1]).exists()] == []
