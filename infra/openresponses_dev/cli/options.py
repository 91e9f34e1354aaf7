"""The options that `dev` and `invoke` share, as the local cloud takes them."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter

from openresponses_dev.local.project import find_template
from openresponses_dev.local.sandbox.environment import read_env_file
from openresponses_dev.manage.problems import Problem


class BadOption(Exception):
    """An option cannot be used as given."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class CloudOptions:
    """A template, and what a deployment of it would be given. The methods raise BadOption."""

    template: Annotated[
        Path | None,
        Parameter(help="default: template.yaml of the project, elsewhere the one of this package"),
    ] = None
    env: Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE", help="a variable of every function")] = ()
    env_file: Annotated[Path | None, Parameter(help="NAME=VALUE lines, as for --env, which wins")] = None
    parameter: Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE", help="a template parameter")] = ()
    providers: Annotated[
        Path | None, Parameter(help="JSON, a provider's settings by its name; put into the local SSM")
    ] = None
    alias: Annotated[
        tuple[str, ...], Parameter(metavar="NAME=TARGET,...", help="a model's alias, as provider/model,...")
    ] = ()
    raw_logs: Annotated[bool, Parameter(help="show what functions print, unchanged")] = False
    log_file: Annotated[Path | None, Parameter(help="append all that is logged, unshortened")] = None

    def template_path(self) -> Path:
        return self.template or find_template()

    def parameters(self) -> dict[str, str]:
        return _assignments(self.parameter, "--parameter")

    def environment(self) -> dict[str, str]:
        """--env-file and --env together."""
        try:
            from_file = read_env_file(self.env_file) if self.env_file else {}
        except (OSError, ValueError) as error:
            raise BadOption(str(error)) from error
        return {**from_file, **_assignments(self.env, "--env")}

    def provider_settings(self) -> dict[str, dict[str, object]]:
        """The JSON object in the file of --providers: a provider's settings by its name."""
        if not self.providers:
            return {}
        try:
            found: object = json.loads(self.providers.read_text())
        except (OSError, ValueError) as error:
            raise BadOption(f"--providers {self.providers}: {error}") from error
        named = cast("dict[str, object]", found if isinstance(found, dict) else {"": found})
        if not all(isinstance(each, dict) for each in named.values()):
            raise BadOption(f"--providers {self.providers}: not an object of objects")
        for name, settings in named.items():
            with _told(f"--providers {self.providers}"):
                import_module("openresponses_dev.manage.provider_options").settings_of(name, json.dumps(settings))
        return cast("dict[str, dict[str, object]]", named)

    def aliases(self) -> dict[str, list[str]]:
        """An alias's targets, in order, by its name."""
        found = {name: targets.split(",") for name, targets in _assignments(self.alias, "--alias").items()}
        for name, targets in found.items():
            with _told(f"--alias {name}"):
                import_module("openresponses_dev.manage.models").targets_of(name, json.dumps({"targets": targets}))
        return found


@contextmanager
def _told(option: str) -> Generator[None]:
    try:
        yield
    except Problem as problem:
        raise BadOption(f"{option}: {problem}") from None


def _assignments(values: Iterable[str], option: str) -> dict[str, str]:
    """NAME=VALUE words. Raises BadOption."""
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, content = value.partition("=")
        if not equals or not name:
            raise BadOption(f"{option} {value}: not NAME=VALUE")
        pairs[name] = content
    return pairs
