"""The template as a deploy would read it, expanded by SAM's own translator: no credentials, no network."""

from pathlib import Path
from typing import Any

import pytest

from tests.template.building import make
from tests.template.expanding import expand, read

Json = dict[str, Any]


@pytest.fixture(scope="session")
def source() -> Json:
    """template.yaml as it is written."""
    return read()


@pytest.fixture(scope="session")
def deployed(source: Json) -> Json:
    """What CloudFormation gets: template.yaml after the SAM transform, parameters still references."""
    return expand(source)


@pytest.fixture(scope="session")
def resources(deployed: Json) -> dict[str, Json]:
    return deployed["Resources"]


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("build") / "ApiFunction"
    directory.mkdir()
    make("ApiFunction", directory)
    return directory
