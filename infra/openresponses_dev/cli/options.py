"""Command-line options that name values, as the local cloud takes them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import cast

from openresponses_dev.local.sandbox.environment import read_env_file


class BadOption(Exception):
    """An option cannot be used as given."""


def assignments(values: Iterable[str], option: str) -> dict[str, str]:
    """NAME=VALUE words. Raises BadOption."""
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, content = value.partition("=")
        if not equals or not name:
            raise BadOption(f"{option} {value}: not NAME=VALUE")
        pairs[name] = content
    return pairs


def environment(arguments: argparse.Namespace) -> dict[str, str]:
    """--env-file and --env together. Raises BadOption."""
    try:
        from_file = read_env_file(arguments.env_file) if arguments.env_file else {}
    except (OSError, ValueError) as error:
        raise BadOption(str(error)) from error
    return {**from_file, **assignments(arguments.env, "--env")}


def providers(arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """--providers: the file's JSON object, of a provider's settings by its name. Raises BadOption."""
    if not arguments.providers:
        return {}
    try:
        found: object = json.loads(arguments.providers.read_text())
    except (OSError, ValueError) as error:
        raise BadOption(f"--providers {arguments.providers}: {error}") from error
    named = cast("dict[str, object]", found if isinstance(found, dict) else {"": found})
    if not all(isinstance(each, dict) for each in named.values()):
        raise BadOption(f"--providers {arguments.providers}: not an object of objects")
    return cast("dict[str, dict[str, object]]", named)


def aliases(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """--alias: targets, in order, by name. Raises BadOption."""
    return {name: targets.split(",") for name, targets in assignments(arguments.alias, "--alias").items()}


def fail(error: object) -> int:
    """Say why the command cannot run; the exit status for that."""
    print(f"openresponses: {error}", file=sys.stderr)
    return 2
