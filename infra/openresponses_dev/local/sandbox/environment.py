"""The environment of a sandbox: what Lambda gives a function, and nothing of the developer's own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from openresponses_dev.local.template.intrinsics import REGION
from openresponses_dev.local.template.template import TOOLS_VARIABLE, Api, FunctionSpec

# Without these a process does not start, or cannot verify a certificate. No proxies: their URLs carry passwords.
_INHERITED = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
# Where nothing listens: a function that no local service was started for must not reach the real AWS. And HOME leads
# to the developer's own AWS profile, which could name other endpoints.
NO_AWS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def sandbox_environment(
    spec: FunctionSpec, runtime_api: str, services: Mapping[str, str], extra: Mapping[str, str]
) -> dict[str, str]:
    """`services` are the variables that lead to the local AWS services; `extra` is the user's and has the last word."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {"AWS_LAMBDA_RUNTIME_API": runtime_api}
    layer = {TOOLS_VARIABLE: str(spec.tools)} if spec.tools else {}  # there is no /opt here
    return {**inherited, **_lambda(spec), **spec.environment, **layer, **NO_AWS, **services, **extra, **own}


def local_addresses(variables: Mapping[str, str], apis: Iterable[Api], origin: str) -> dict[str, str]:
    """Those of the variables that name an address of one of the APIs, with the one that it has here."""
    there = [f"https://{api.name}.execute-api.{REGION}.amazonaws.com/{api.stage}" for api in apis]
    found = {name: next((each for each in there if each in value), "") for name, value in variables.items()}
    return {name: variables[name].replace(address, origin) for name, address in found.items() if address}


def _lambda(spec: FunctionSpec) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "_HANDLER": spec.handler,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{now:%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}",
        "LAMBDA_TASK_ROOT": str(spec.task_root),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",  # a pipe would hold lines back until the sandbox ends
        "TZ": ":UTC",
    }


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=VALUE lines as docker and sam read them. Raises ValueError with the line that is wrong."""
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        stripped = line.strip().removeprefix("export ").strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{path}:{number}: not NAME=VALUE")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        values[name.strip()] = value[1:-1] if quoted else value
    return values
