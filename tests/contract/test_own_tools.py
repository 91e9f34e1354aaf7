"""Tools of a project's own: the files of a second folder, in a process as a sandbox has it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TOOL = '''
from tools._shared import WORDS
from . import _shared

def {name}(word: str) -> str:
    """Own {name}."""
    return WORDS[word] + _shared.WORDS[word]
'''
SCRIPT = """
import asyncio, json, sys
from dataclasses import asdict
from openresponses.entry.compose import Deployment
from openresponses.schema.server_items import HostedToolCall
from openresponses.schema.tools import HostedTool
from openresponses.toolbox import own_files
from tests.unit.kit import new_run

folder, layer, names, expression = sys.argv[1:]
own_files._LAYER = layer or "/opt/python"
sys.path.insert(1, layer) if layer else None

async def main():
    tools = Deployment({"OPENRESPONSES_TOOLS": folder}).ports("default").tools
    found = {}
    for name in names.split(","):
        offer = await tools.offer(HostedTool(type=f"serverless:{name}"))
        found[name] = offer and offer.tools[0].description
    call = HostedToolCall(type="serverless:dictionary", id="h", call_id="c", name="dictionary",
                          arguments='{"word": "item"}', status="in_progress")
    output = (await tools.call(call, new_run())).text
    print(json.dumps({"offered": found, "output": output, "evaluated": eval(expression), "path": sys.path}))

asyncio.run(main())
"""


def deployed(
    folder: Path, *names: str, layer: Path | None = None, evaluate: str = "None", home: Path | None = None
) -> dict[str, Any]:
    """What a server with this folder of tools offers and answers; `layer` is in place of /opt/python."""
    words = [str(folder), str(layer or ""), ",".join(names), evaluate]
    command = [sys.executable, "-c", SCRIPT, *words]
    found = subprocess.run(command, cwd=home, check=True, capture_output=True, text=True, env={"PYTHONPATH": ROOT})
    return json.loads(found.stdout)


ROOT = str(Path(__file__).parents[2])


def project(at: Path) -> Path:
    """A folder of tools, beside a module that is none of theirs."""
    folder = at / "tools"
    folder.mkdir(parents=True)
    for name in ("dictionary", "calculator"):
        (folder / f"{name}.py").write_text(TOOL.format(name=name))
    (folder / "_shared.py").write_text("WORDS = {'item': 'A unit.'}\n")
    (at / "beside.py").write_text("")
    return folder


BESIDE = "__import__('importlib.util').util.find_spec('beside') is not None"


def test_own_tools_are_offered_beside_the_servers_and_win_over_them(tmp_path: Path) -> None:
    found = deployed(project(tmp_path), "dictionary", "calculator", "clock", "_shared", "beside", evaluate=BESIDE)
    offered = found["offered"]
    assert offered["dictionary"] == "Own dictionary."
    assert offered["calculator"] == "Own calculator."
    assert offered["clock"].startswith("Tell")
    assert offered["_shared"] is offered["beside"] is None
    assert found["output"] == "A unit.A unit."
    assert found["evaluated"] is False


def test_what_a_layer_brings_comes_last(tmp_path: Path) -> None:
    layer = tmp_path / "python"
    found = deployed(project(layer), "dictionary", layer=layer, evaluate=BESIDE)
    assert found["evaluated"] is True
    assert found["path"].index(str(layer)) == len(found["path"]) - 1
    assert found["path"].count(str(layer)) == 1


def test_a_folder_that_is_not_there_or_empty_has_no_tools(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    for folder in (tmp_path / "tools", tmp_path / "none"):
        found = deployed(folder, "dictionary", "calculator")
        assert found["offered"]["dictionary"] is None
        assert found["offered"]["calculator"]
        assert found["output"].startswith("There is no tool named 'dictionary' here")


def test_a_server_without_them_imports_nothing_for_them() -> None:
    code = """
import sys
from openresponses.entry.compose import Deployment
Deployment({})
print([name for name in sys.modules if name.endswith("own_files") or name.partition(".")[0] == "tools"])
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
