"""Every command of README and docs, run as a reader would: page by page, each in one shell with a clean environment."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from openresponses_dev.local.address import DEV_PORT, LOOPBACK
from tests.docs.pages import PAGES, REPO, blocks
from tests.docs.reader import Reader

pytestmark = [pytest.mark.docs, pytest.mark.timeout(240)]
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is or would be committed: pages write files into it."""
    copy = tmp_path_factory.mktemp("docs") / "openresponses"
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPO, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (REPO / name).is_file():  # one that was deleted is listed until that is committed
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, target)
    return copy


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a Python that has pip, and nothing else."""
    environment = tmp_path_factory.mktemp("python")
    subprocess.run(["uv", "venv", "--quiet", "--seed", "--python", sys.executable, environment], check=True)
    return environment / "bin"


@pytest.fixture
def port(worker_id: str) -> int:
    """`dev`'s own, of which there is one on a machine, and any free one for the other workers."""
    if worker_id in ("master", "gw0"):
        return DEV_PORT
    with socket.create_server((LOOPBACK, 0)) as free:
        return free.getsockname()[1]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(REPO))) for page in PAGES])
def test_the_blocks_of_a_page_run_in_order(page: Path, checkout: Path, python: Path, port: int, tmp_path: Path):
    found = [block for block in blocks(page) if block.runs]
    if not found:
        pytest.skip("nothing to run")
    path = f"{python}:{SYSTEM_PATH}"
    if page.name != "README.md":  # the README says how to get uv, the other pages go on from there
        uv = shutil.which("uv")
        assert uv is not None
        path = f"{path}:{Path(uv).parent}"
    shutil.rmtree(checkout / ".openresponses", ignore_errors=True)  # or a page would go on with what another one set up
    with Reader(checkout, tmp_path, path, port) as reader:
        for block in found:
            reader.follow(block)
