"""A function as in the image that `sam local` makes: AWS's, with the emulator for an entrypoint.

There is no Docker here, so a mount namespace has /var/task and /var/runtime as the image has them. The rest is what SAM
asks Docker for: the artifact, the environment, and a command without arguments.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from openresponses_dev.local.sandbox.sandbox import STOCK_BOOTSTRAP
from tests.emulator import PATIENCE, emulator, free_port, wait_for

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
OF_THE_IMAGE = {
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LANG": "en_US.UTF-8",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "TZ": ":/etc/localtime",
}
"""What public.ecr.aws/lambda/python:3.13 sets."""
# The image's own script does this; our stand-in for its loop is beside it.
BOOTSTRAP = f"#!/bin/sh\nexec $AWS_LAMBDA_EXEC_WRAPPER {sys.executable} /var/runtime/bootstrap.py\n"
MOUNTED = """
mount -t tmpfs none /var
mkdir /var/task /var/runtime
mount --bind "$1" /var/task
cp "$2" /var/runtime/bootstrap
cp "$3" /var/runtime/bootstrap.py
chmod 755 /var/runtime/bootstrap
cd /var/task
shift 3
exec "$@"
"""


@contextmanager
def running(artifact: Path, environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The address of its emulator. `folder` takes what it prints."""
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a mount namespace")
    folder.mkdir(exist_ok=True)
    bootstrap = folder / "bootstrap"
    bootstrap.write_text(BOOTSTRAP)
    address, runtime_api = (f"127.0.0.1:{free_port()}" for _ in range(2))
    addresses = ["--runtime-interface-emulator-address", address, "--runtime-api-address", runtime_api]
    mounted = [*NAMESPACE, "sh", "-euc", MOUNTED, "sh", artifact, bootstrap, STOCK_BOOTSTRAP]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*mounted, emulator(), "--log-level", "error", *addresses],
            env={**OF_THE_IMAGE, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(address, process)
        yield address
    finally:
        process.terminate()  # on which the emulator kills the runtime
        process.wait(PATIENCE)
