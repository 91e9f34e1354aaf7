"""Makes the pictures of docs/terminal.md anew, from what the programs draw: `python -m tests.screenshots`."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.screen import Terminal

COLUMNS = 100
IMAGES = Path(__file__).parents[1] / "docs/images"
ROOT = Path(__file__).parents[1]


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "openresponses_dev.cli.cli", "dev", "--port", "0", "--keep-nothing"]
        command += ["--template", str(ROOT / "template.yaml"), "--no-reload"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as dev:
            assert dev.stdout
            exports = [dev.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(2)]
            shown = {"TERM": "xterm-256color", "COLORTERM": "", "XDG_STATE_HOME": f"{folder}/state"}
            env = {**os.environ, **dict(exports), **shown}
            _chat(env, folder)
            dev.send_signal(signal.SIGINT)


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
    _write(terminal, "chat.svg")


def _write(terminal: Terminal, name: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="standard")
    text = terminal.screen.styled()
    text.rstrip()
    console.print(text)
    drawn = console.export_svg(title="openresponses chat", unique_id="chat")
    plain = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # nothing is loaded from elsewhere
    (IMAGES / name).write_text(plain)


if __name__ == "__main__":
    main()
