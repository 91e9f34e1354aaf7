"""Whoever follows a page: one bash in which its blocks run in order, and a second terminal for the server."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from openresponses_dev.local.address import DEV_PORT
from tests.docs.pages import Block

DEV = "openresponses dev"
EXPORTS = ("export OPENAI_BASE_URL=", "export OPENAI_API_KEY=")
"""The lines that the server prints for its reader to paste."""
STARTS_S, STOPS_S = 60.0, 20.0
PASSED_ON = ("CI_RUN", "PIP_", "UV_", "SSL_CERT", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""How this machine reaches a package index, and the mark of a `.ci/run`: no more of the environment is passed on."""


class BlockFailed(Exception):
    """Says which block, and shows what the page printed so far."""


class Reader:
    """`checkout` is where the shell starts, `work` an empty directory that is this reader's home. A `port` other than
    `dev`'s own is added to the commands that start one: then several readers can follow pages at once.
    """

    def __init__(self, checkout: Path, work: Path, path: str, port: int = DEV_PORT) -> None:
        self._checkout, self._work, self._port = checkout, work, port
        home = work / "home"
        home.mkdir(parents=True)
        cache = subprocess.check_output(["uv", "cache", "dir"], text=True).strip()
        self._environment = {
            **_passed_on(os.environ),
            "UV_CACHE_DIR": cache,
            "HOME": str(home),
            "PATH": path,
            "LANG": "C.UTF-8",
        }
        self._seen: list[str] = []
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            cwd=self._checkout,
            start_new_session=True,
        )
        self._tell("set -euo pipefail")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_server()
        _kill_group(self._shell, signal.SIGKILL)
        for pipe in (self._shell.stdin, self._shell.stdout):
            assert pipe is not None
            pipe.close()

    def follow(self, block: Block) -> None:
        """Raises BlockFailed."""
        self._seen.append(f"\n--- {block}\n{block.text}---\n")
        if block.marked("file"):
            file = self._checkout / block.marked("file")[0]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        elif block.marked("terminal"):
            self._start_server(block)
        elif block.language == "python":
            self._expect(block, self._run(block, f"uv run python {self._saved(block)}"))
        else:
            self._expect(block, self._run(block, f"source {self._saved(block)}"))

    def _expect(self, block: Block, output: str) -> None:
        for text in block.marked("prints"):
            if text not in output:
                raise self._failed(block, f"did not print {text!r}")

    def _run(self, block: Block, command: str) -> str:
        """What it printed. The shell ends at the first command that fails."""
        end = f"end of {secrets.token_hex(8)}"
        self._tell(f"{command} </dev/null")
        self._tell(f"printf '\\n%s\\n' '{end}'")
        assert self._shell.stdout is not None
        output = ""
        for line in iter(self._shell.stdout.readline, b""):
            text = line.decode(errors="replace")
            if text.strip() == end:
                return output
            output += text
            self._seen.append(text)
        raise self._failed(block, "failed")

    def _start_server(self, block: Block) -> None:
        self._stop_server()
        said = self._work / f"server-{block.line}"
        with said.open("wb") as file:
            self._server = subprocess.Popen(
                ["bash", "-euc", self._at_port(block.text)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._checkout,
                start_new_session=True,
            )
        until = time.monotonic() + STARTS_S
        while time.monotonic() < until and self._server.poll() is None:
            lines = said.read_text(errors="replace").splitlines(keepends=True)
            pasted = [line for line in lines if line.startswith(EXPORTS) and line.endswith("\n")]
            if len(pasted) == len(EXPORTS):
                for line in pasted:
                    self._tell(line)
                return
            time.sleep(0.1)
        self._seen.append(said.read_text(errors="replace"))
        raise self._failed(block, "did not start")

    def _at_port(self, text: str) -> str:
        return text if self._port == DEV_PORT else text.replace(f" {DEV}", f" {DEV} --port {self._port}")

    def _stop_server(self) -> None:
        if self._server is None:
            return
        try:
            _kill_group(self._server, signal.SIGINT)
        except subprocess.TimeoutExpired:
            _kill_group(self._server, signal.SIGKILL)
        self._server = None

    def _tell(self, line: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{line.rstrip()}\n".encode())
        self._shell.stdin.flush()

    def _saved(self, block: Block) -> Path:
        file = self._work / f"block-{block.line}.{'py' if block.language == 'python' else 'sh'}"
        file.write_text(block.text)
        return file

    def _failed(self, block: Block, how: str) -> BlockFailed:
        return BlockFailed(f"{block} {how}\n{''.join(self._seen)}")


def _passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.upper().startswith(PASSED_ON)}


def _kill_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Raises TimeoutExpired where it does not end."""
    if process.poll() is None:
        os.killpg(process.pid, number)
    process.wait(STOPS_S)
