"""infra/adopt.yaml, with which a new stack takes over what another one left behind."""

import json
import re
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.template.reading import ROOT, Json
from tests.template.stack import Stack

IDENTIFIERS = {"AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName"}
"""primaryIdentifier in the schemas of CloudFormation's registry."""


@pytest.fixture
def adopted() -> Json:
    return json.loads(json.dumps(yaml_parse((ROOT / "infra/adopt.yaml").read_text())))["Resources"]


def test_what_is_kept_is_taken_over_as_a_deploy_with_the_defaults_has_it(adopted: Json, deployed: Json) -> None:
    """An update then changes what its parameters change, and replaces nothing."""
    resources = Stack("kit", deployed).existing["Resources"]
    defaults = {name: each["Default"] for name, each in deployed["Parameters"].items()}

    def filled(value: Any) -> Any:
        match value:
            case {"Ref": str(name)} if name in defaults:
                return defaults[name]
            case dict():
                return {key: filled(each) for key, each in value.items()}
            case list():
                return [filled(each) for each in value]
        return value

    expected = {name: filled(resources[name]) for name in ("ResponsesTable", "ResponsesBucket")}
    for each in expected.values():
        each["DeletionPolicy"] = "Retain"
    assert adopted == expected


def test_the_page_names_each_resource_by_what_identifies_it(adopted: Json) -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    (listed,) = re.findall(r"--resources-to-import \"(.*?)\"\n", page, re.DOTALL)
    named = json.loads(listed.replace("\\", "").replace("$TABLE", "table").replace("$BUCKET", "bucket"))
    values = {"TableName": "table", "BucketName": "bucket"}
    assert named == [
        {
            "ResourceType": resource["Type"],
            "LogicalResourceId": name,
            "ResourceIdentifier": {key: values[key]},
        }
        for name, resource in adopted.items()
        for key in [IDENTIFIERS[resource["Type"]]]
    ]
