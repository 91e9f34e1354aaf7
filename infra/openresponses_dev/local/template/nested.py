"""The applications that are nested in a template: other templates, each with parameters and outputs of its own.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-application.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from openresponses_dev.local.project import INSTALLED, kit
from openresponses_dev.local.template.properties import Properties
from openresponses_dev.local.template.yaml_tree import TemplateError, Value

APPLICATION = "AWS::Serverless::Application"
_ELSEWHERE = ("https://", "http://", "s3://")


class _Reader(Protocol):
    """Of the template that the applications are nested in."""

    @property
    def root(self) -> Path: ...

    def read(self, name: str, keys: tuple[str, ...], section: str = "") -> Properties: ...


class _Outputs(Protocol):
    """A nested template."""

    def output(self, name: str) -> Value: ...


T = TypeVar("T", bound=_Outputs)


class Applications(Generic[T]):
    """Each is read when it is first asked for, since another's outputs may be its parameters. `read` is given a path,
    parameters, and a logical id.
    """

    def __init__(self, reader: _Reader, read: Callable[[Path, Mapping[str, str], str], T]) -> None:
        self._reader, self._read = reader, read
        self._found: dict[str, T | None] = {}

    def template(self, name: str) -> T:
        """The one with this logical id. Raises TemplateError that names it."""
        if (found := self._found.get(name)) is not None:
            return found
        where = f"Resources.{name}"
        if name in self._found:
            raise TemplateError(where, "needs its own outputs")
        self._found[name] = None
        properties = self._reader.read(name, ("Location", "Parameters"))
        path, parameters = self._path(properties), properties.table("Parameters").texts()
        try:
            self._found[name] = found = self._read(path, parameters, name)
        except TemplateError as error:
            raise TemplateError(where, str(error)) from error
        return found

    def output(self, name: str, where: str) -> Value:
        """Of `<logical id>.Outputs.<name>`. Raises TemplateError."""
        logical, _, output = name.split(".", 2)
        value = self.template(logical).output(output)
        if value is None:
            raise TemplateError(where, f"{logical} has no output {output!r}")
        return value

    def _path(self, properties: Properties) -> Path:
        if isinstance(properties.values.get("Location"), dict):
            raise TemplateError(properties.at("Location"), "the local cloud runs a template on this machine")
        location = properties.text("Location")
        if location.startswith(_ELSEWHERE):
            raise TemplateError(
                properties.at("Location"), f"the local cloud runs a template on this machine, not {location}"
            )
        path = self._reader.root / location
        ours = kit() / INSTALLED.name
        if path.is_file():
            return path
        if path.is_dir():
            raise TemplateError(properties.at("Location"), f"{path} is a folder: name the template in it")
        # The package may run where it is not installed in an environment of the project.
        if path.match(str(INSTALLED)):
            return ours
        mend = f"uv sync makes what is in .venv, where the kit is {INSTALLED}; the one that runs is {ours}"
        raise TemplateError(properties.at("Location"), f"there is no {path}: {mend}")
