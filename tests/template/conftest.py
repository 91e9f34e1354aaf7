"""The template as a deploy would read it, expanded by SAM's own translator: no credentials, no network."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from tests.template.building import make

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


class _NoManagedPolicies:
    """The translator asks IAM for the names of AWS's policies; this template names none of them that way."""

    def load(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="session")
def source() -> Json:
    """template.yaml as it is written."""
    return json.loads(json.dumps(yaml_parse((ROOT / "template.yaml").read_text())))


@pytest.fixture(scope="session")
def deployed(source: Json) -> Json:
    """What CloudFormation gets: template.yaml after the SAM transform, parameters still references."""
    template = copy.deepcopy(source)
    local = {
        "AWS::Serverless::Function": ("CodeUri", "s3://bucket/code"),
        "AWS::Serverless::StateMachine": ("DefinitionUri", "s3://bucket/loop"),
    }
    for resource in template["Resources"].values():
        if resource["Type"] in local:
            name, uri = local[resource["Type"]]
            resource["Properties"][name] = uri  # what `sam package` makes of a path
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # boto3 must find one, to know the partition
        return json.loads(json.dumps(transform(template, {}, _NoManagedPolicies())))


@pytest.fixture(scope="session")
def resources(deployed: Json) -> dict[str, Json]:
    return deployed["Resources"]


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("build") / "ApiFunction"
    directory.mkdir()
    make("ApiFunction", directory)
    return directory
