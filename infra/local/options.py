"""Command-line options that name values, as the local cloud takes them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from infra.local.environment import read_env_file


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


def fail(error: object) -> int:
    """Say why the command cannot run; the exit status for that."""
    print(f"openresponses: {error}", file=sys.stderr)
    return 2
