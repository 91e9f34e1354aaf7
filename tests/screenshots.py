"""Makes the pictures of docs/terminal.md anew, from what the programs draw: `python -m tests.screenshots`."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from openresponses_dev.local.address import KEY_OF_EVENTS
from tests.screen import Terminal

COLUMNS = 100
IMAGES = Path(__file__).parents[1] / "docs/images"
COMMAND = (sys.executable, "-m", "openresponses_dev.cli.cli")


FALLEN = """def fallen(word: str) -> str:
    \"\"\"Look a word up.\"\"\"
    return {}[word]
"""
"""A tool that raises."""


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        own = {"TERM": "xterm-256color", "COLORTERM": "", "XDG_STATE_HOME": f"{folder}/state"}
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UV_"))} | own
        project = Path("/tmp/mine")  # what is drawn names it
        subprocess.run([*COMMAND, "init", project], env=env, check=True, stdout=subprocess.DEVNULL)
        (project / "tools/fallen.py").write_text(FALLEN)
        dev = Terminal(
            "dev",
            "--port",
            "0",
            "--api-key",
            KEY_OF_EVENTS,
            "--no-reload",
            env=env,
            columns=COLUMNS,
            rows=60,
            cwd=str(project),
        )
        dev.wait_for("# What it keeps")
        _chat(env, str(project))
        asked = '[[call fallen {"word": "heron"}]] What is a heron?'
        subprocess.run(
            [*COMMAND, "chat", "--model", "fast", asked, "--tool", "serverless:fallen"],
            cwd=project,
            env=env,
            check=True,
        )
        subprocess.run([*COMMAND, "chat", "--model", "gpt-5", "Hello"], cwd=project, env=env, check=False)
        dev.wait_for("model_not_found")
        _commands(env, project)
        dev.process.send_signal(signal.SIGINT)
        dev.wait()
        _write([dev.screen.styled()], "dev.svg", "openresponses dev")
        shutil.rmtree(project)


def _commands(env: dict[str, str], project: Path) -> None:
    listed = subprocess.run(
        [*COMMAND, "responses", "list", "--local", "--json"], cwd=project, env=env, check=True, capture_output=True
    )
    newest = json.loads(listed.stdout)["data"][0]["id"]
    shown = []
    for words in (
        ("tools", "list", "--local"),
        ("responses", "list", "--local"),
        ("responses", "show", newest, "--local"),
    ):
        terminal = Terminal(*words, env=env, columns=COLUMNS, rows=40, cwd=str(project))
        terminal.wait()
        shown += [Text(f"$ openresponses {' '.join(words)}", "bold"), terminal.screen.styled(), Text()]
    _write(shown, "commands.svg", "openresponses")


def _chat(env: dict[str, str], folder: str) -> None:
    terminal = Terminal("chat", env=env, columns=COLUMNS, rows=40, cwd=folder)
    terminal.wait_for("> ")
    for typed, until in (
        ("/tools serverless:calculator\r", "tools: serverless:calculator"),
        ("What is 15 * 37?\r", " s"),
        ("/tools none\r", "tools: none"),
        ("[[words 60]] Tell me **more**.\r", " s"),
        ("[[stall after 8]] And then?\r", "no real"),
    ):
        terminal.type(typed)
        terminal.wait_for(until)
        if "stall" not in typed:
            terminal.wait_for("> ")
    terminal.type("\x03")
    terminal.wait_for("is cancelled")
    terminal.wait_for("> ")
    terminal.type("\x04")
    terminal.wait()
    _write([terminal.screen.styled()], "chat.svg", "openresponses chat")


def _write(shown: Sequence[Text], name: str, title: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="standard")
    for text in shown:
        text.rstrip()
        console.print(text)
    drawn = console.export_svg(title=title, unique_id=name.partition(".")[0])
    plain = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # nothing is loaded from elsewhere
    (IMAGES / name).write_text(plain)


if __name__ == "__main__":
    main()
