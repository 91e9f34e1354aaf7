"""A newcomer's quarter of an hour: what they type and write, and how long the machine takes for it. Their own reading,
thinking and typing are not in it.

`python -m tests.package.newcomer` goes both ways: a project of one's own, from the wheel; and as it was before there
were such projects, in a clone at commit BEFORE, by its documentation. Each begins with an empty home and no cache.
`--write` puts the table into docs/figures.md.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Self

from tests.bench import page
from tests.bench.figures import Machine

ROOT = Path(__file__).parents[2]
BEFORE = "701ebc7"
PATIENCE = 300
SAM = "aws-sam-cli==1.170.0"  # as .ci/run has it
KEY = "sk-newcomer"

TOOL = '''\
"""Count words."""


def words(text: str) -> int:
    """Count the words of a text.

    Args:
        text: Any text.
    """
    return len(text.split())
'''
WRONG = TOOL.replace("len(text.split())", 'len(text["words"])')
RAISES_IN_LINE = WRONG.splitlines().index('    return len(text["words"])') + 1
ASK_TOOL = """'[[call words {"text": "one two three"}]] How many?' --tool serverless:words"""
TEST = """

def test_words_are_counted() -> None:
    from tools.words import words

    assert words("one two three") == 3
"""


@dataclass
class Step:
    title: str
    commands: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])
    seconds: float = 0.0


class Newcomer:
    """Two terminals in one folder. `keeps` are variables of this machine that a newcomer's has too."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.steps = folder, list[Step]()
        keeps = ("PIP_", "UV_INDEX", "UV_DEFAULT_INDEX", "SSL_", "CI_RUN")
        own = {name: value for name, value in os.environ.items() if name.startswith(keeps)}
        home = folder / "home"
        home.mkdir(parents=True)
        self._environment = {**own, "PATH": _path(), "HOME": str(home), "LANG": "C.UTF-8", "SAM_CLI_TELEMETRY": "0"}
        self._server: subprocess.Popen[bytes] | None = None
        self._shown = folder / "server.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._server.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.steps.append(Step(title))
        began = time.monotonic()
        try:
            yield
        finally:
            self.steps[-1].seconds = time.monotonic() - began

    def type(self, command: str) -> str:
        """What a command prints on both streams. Fails where it does."""
        self.steps[-1].commands.append(command)
        if command.startswith("cd "):
            self.folder = self.folder / command.removeprefix("cd ")
            return ""
        if found := re.fullmatch(r"export (\w+)=(\S+)", command):
            self._environment[found[1]] = found[2]
            return ""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n--- the server:\n{self.server_shows()}"
        return done.stdout

    def type_in_another_terminal(self, command: str) -> None:
        """Starts the server, until it is ready."""
        self.steps[-1].commands.append(command)
        with self._shown.open("wb") as file:
            self._server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_for("export OPENAI_API_KEY=or_")

    def paste_what_it_printed(self) -> None:
        for line in re.findall("^export OPENAI_.*", self.server_shows(), re.MULTILINE):
            self.type(line)

    def server_shows(self) -> str:
        return self._shown.read_text(errors="replace") if self._shown.exists() else ""

    def wait_for(self, text: str) -> None:
        """Until the server's terminal shows it."""
        until = time.monotonic() + PATIENCE
        while text not in self.server_shows():
            assert self._server
            assert self._server.poll() is None, self.server_shows()
            assert time.monotonic() < until, f"not shown: {text}\n{self.server_shows()}"
            time.sleep(0.05)

    def write(self, name: str, text: str) -> None:
        self.steps[-1].files.append(name)
        (self.folder / name).write_text(text)

    def add(self, name: str, text: str) -> None:
        file = self.folder / name
        self.write(name, (file.read_text() if file.exists() else "") + text)

    def table(self) -> str:
        return "\n".join(
            f"{step.title:<40} {len(step.commands):>3} commands {len(step.files):>3} files {step.seconds:>7.1f} s"
            for step in [*self.steps, self.all()]
        )

    def all(self) -> Step:
        whole = Step("all", seconds=sum(step.seconds for step in self.steps))
        for step in self.steps:
            whole.commands += step.commands
            whole.files += step.files
        return whole


def _path() -> str:
    """The system's commands, and uv."""
    uv = shutil.which("uv")
    assert uv
    return f"{Path(uv).parent}:/usr/local/bin:/usr/bin:/bin"


@contextmanager
def upstream() -> Iterator[str]:
    """The address of a model provider that takes KEY: a server of the Chat Completions dialect on this machine."""
    command = [sys.executable, "-m", "tests.fakes.chat_completions", "--api-key", KEY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def before(new: Newcomer, provider: str) -> None:
    """As README, docs/getting-started.md, docs/add-a-tool.md and docs/providers.md of that commit say."""
    with new.step("get it"):
        new.type(f"git clone -q {ROOT} openresponses")
        new.type("cd openresponses")
        subprocess.run(["git", "checkout", "-q", BEFORE], cwd=new.folder, check=True)  # it was the newest one then
    with new.step("run it"):
        new.type_in_another_terminal("uv run openresponses dev --port 0")
        new.paste_what_it_printed()
    origin = re.search(r"http://127.0.0.1:\d+", new.server_shows())
    assert origin
    with new.step("talk to it"):
        assert "Hello" in new.type('uv run openresponses chat "Hello"')
    with new.step("a tool of one's own"):
        new.write("functions/openresponses/tools/words.py", TOOL)
        assert "<- words: 3" in new.type(f"uv run openresponses chat {ASK_TOOL}")
    with new.step("its error, seen with file and line"):
        new.write("functions/openresponses/tools/words.py", WRONG)
        assert "TypeError" in new.type(f"uv run openresponses chat {ASK_TOOL}")
        assert f"line {RAISES_IN_LINE}" not in new.server_shows()
        by_hand = (
            """uv run python -c 'from openresponses.tools.words import words; words("one two three")' 2>&1 || true"""
        )
        assert f"line {RAISES_IN_LINE}" in new.type(by_hand)
        new.write("functions/openresponses/tools/words.py", TOOL)
    with new.step("a provider"):
        set_it = f"providers set mine --dialect chat_completions --base-url {provider} --local {origin[0]}"
        new.type(f"echo {KEY} | uv run openresponses {set_it}")
        assert "Good day." in new.type("uv run openresponses chat --model mine/m '/fake text;say=Good day.'")
    with new.step("a test of one's own tool"):
        pass  # there is no place for one but among the server's own tests
    with new.step("build what is deployed"):
        new.type(f"uv tool run --from {SAM} sam build")
        assert (new.folder / ".aws-sam/build/ApiFunction/openresponses/tools/words.py").is_file()


def after(new: Newcomer, provider: str, wheel: Path) -> None:
    """As docs/project.md says."""
    with new.step("get it"):
        assert "uv run openresponses dev" in new.type(f"uvx --from {wheel} openresponses init mine")
        new.type("cd mine")
        new.type("uv sync")
    with new.step("run it"):
        new.type_in_another_terminal("uv run openresponses dev --port 0")
    with new.step("talk to it"):
        assert "Hello" in new.type('uv run openresponses chat --model fast "Hello"')
    with new.step("a tool of one's own"):
        new.write("tools/words.py", TOOL)
        assert "<- words: 3" in new.type(f"uv run openresponses chat {ASK_TOOL}")
    with new.step("its error, seen with file and line"):
        new.write("tools/words.py", WRONG)
        assert "TypeError" in new.type(f"uv run openresponses chat {ASK_TOOL}")
        new.wait_for(f'tools/words.py", line {RAISES_IN_LINE}')
        new.write("tools/words.py", TOOL)
    with new.step("a provider"):
        new.write(".env", f"MINE_KEY={KEY}\n")
        settings = f'dialect = "chat_completions"\nbase_url = "{provider}"\napi_key = "$MINE_KEY"\n'
        new.add("openresponses.toml", f"\n[providers.mine]\n{settings}")
        new.wait_for("+ providers.mine")
        assert "Good day." in new.type("uv run openresponses chat --model mine/m '/fake text;say=Good day.'")
    with new.step("a test of one's own tool"):
        new.add("tests/test_tools.py", TEST)
        assert "3 passed" in new.type("uv run pytest")
    with new.step("build what is deployed"):
        new.type(f"uvx --from {SAM} sam build")
        built = new.folder / ".aws-sam/build"
        assert (built / "ToolsLayer/python/tools/words.py").is_file()
        assert (built / "OpenResponses/ApiFunction/bootstrap").is_file()


def side_by_side(one: list[Step], other: list[Step]) -> str:
    """Rows of a page: each step, before and now."""
    rows = ["| step | commands | files written | seconds |", "|---|---|---|---|"]
    for old, new in zip(one, other, strict=True):
        pairs = ((len(old.commands), len(new.commands)), (len(old.files), len(new.files)))
        cells = [f"{was}, now {now}" for was, now in pairs] + [f"{old.seconds:.1f}, now {new.seconds:.1f}"]
        rows.append(f"| {new.title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    with tempfile.TemporaryDirectory() as made, upstream() as provider:
        folder = Path(made)
        subprocess.run(["uv", "build", "--quiet", "--out-dir", str(folder), str(ROOT)], check=True)
        (wheel,) = folder.glob("*.whl")
        with Newcomer(folder / "before") as old:
            before(old, provider)
        with Newcomer(folder / "now") as new:
            after(new, provider, wheel)
    text = side_by_side([*old.steps, old.all()], [*new.steps, new.all()])
    text = f"{page.about(Machine.here(), date.today())} Before is `{BEFORE}`.\n\n{text}"
    print(text)
    if "--write" in sys.argv:
        page.write(ROOT / "docs/figures.md", "newcomer", text)


if __name__ == "__main__":
    main()
