"""The requirements of the functions stand twice in pyproject.toml: among the package's, and alone, for the artifact."""

import tomllib
from pathlib import Path

PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())


def test_the_package_requires_what_the_functions_require() -> None:
    groups = PYPROJECT["dependency-groups"]
    assert {*groups["lambda"], *groups["authorizer"]} - set(PYPROJECT["project"]["dependencies"]) == set()


def test_nothing_that_the_command_needs_is_left_to_an_extra() -> None:
    assert "optional-dependencies" not in PYPROJECT["project"]
