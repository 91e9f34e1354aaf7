"""A new dialect is one new folder: a copy of one works in a copy of the package, where no other file has changed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from filecmp import dircmp
from pathlib import Path

import pytest

import openresponses
from tests.fakes.server import fake_upstream

PACKAGE = Path(openresponses.__file__).parent
ASK = """
import asyncio, json, sys
from openresponses.core import deltas as d
from openresponses.core.turn import Turn
from openresponses.dialects import connect, dialects
from openresponses.routing.catalog import Catalog
from openresponses.schema.content import InputText
from openresponses.schema.items import Message
from openresponses.schema.request import CreateResponse
from openresponses.storage.memory.parameters import MemoryParameters

async def main(parameter, model):
    settings = await Catalog(MemoryParameters({"providers/new": parameter})).provider("new")
    provider = connect(settings)
    said = (Message(role="user", content=[InputText(text="Hello")]),)
    turn = Turn(model, said, None, (), "none", None, None, CreateResponse(model=model))
    deltas = [delta async for delta in provider.stream(turn)]
    await provider.aclose()
    texts = [delta.text for delta in deltas if isinstance(delta, d.Text)]
    print(json.dumps({"dialects": dialects(), "texts": texts, "finished": deltas[-1] == d.Finish("stop")}))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("dialect", ["chat_completions", "gemini"])
async def test_a_copied_dialect_is_listed_connects_and_streams(dialect: str, tmp_path: Path) -> None:
    copy = shutil.copytree(PACKAGE, tmp_path / "openresponses", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(copy / "dialects" / dialect, copy / "dialects" / "brand_new")
    assert changes(dircmp(PACKAGE, copy, ignore=["__pycache__"])) == ["brand_new"]
    async with fake_upstream(dialect) as upstream:
        parameter = json.dumps({**upstream.settings, "dialect": "brand_new"})
        model = f"{upstream.wire.model}!text;say=It is noon"
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ASK, parameter, model),
            env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await child.communicate()
        assert (child.returncode, upstream.refused, len(upstream.requests)) == (0, [], 1)
    told = json.loads(out)
    assert "brand_new" in told["dialects"]
    assert (told["texts"], told["finished"]) == (["It ", "is ", "noon "], True)


def changes(trees: dircmp[str]) -> list[str]:
    """Names of what differs between two trees, or is in one of them only."""
    here = [*trees.left_only, *trees.right_only, *trees.diff_files]
    return here + [name for each in trees.subdirs.values() for name in changes(each)]
