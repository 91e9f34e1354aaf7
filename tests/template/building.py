"""Building a function's artifact as `sam build` does, for this machine."""

import platform
import subprocess
import sys
from pathlib import Path

from tests.template.reading import ROOT

# Not the virtual environment's own python, which would find the source tree and its dependencies.
INTERPRETER = Path(sys.executable).resolve()


def target_platform() -> str:
    machine = platform.machine().replace("arm64", "aarch64")
    return f"{machine}-apple-darwin" if sys.platform == "darwin" else f"{machine}-manylinux_2_28"


def make(resource: str, directory: Path, *options: str, makefile: Path = ROOT / "functions/Makefile") -> str:
    """What the makefile says of making the artifact of a function, or a layer."""
    variables = {
        "ARTIFACTS_DIR": directory,
        "PLATFORM": target_platform(),
        "PY": "{}.{}".format(*sys.version_info),
        "PYTHON": INTERPRETER,
    }
    assignments = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "-f", str(makefile), f"build-{resource}", *assignments, *options]
    return subprocess.run(command, cwd=makefile.parent, check=True, capture_output=True, text=True).stdout
