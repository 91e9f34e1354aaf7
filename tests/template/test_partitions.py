"""Nothing names AWS's first partition: the template, the state machine and the code run in China and GovCloud, too."""

import json
import re

import pytest

from tests.template.expanding import expand
from tests.template.reading import ROOT, Json
from tests.template.stack import Stack

REGIONS = {
    "aws": "eu-north-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
}
SHIPPED = [
    ROOT / "template.yaml",
    *(ROOT / "infra/statemachine").rglob("*.json"),
    *(ROOT / "infra/examples").rglob("*.*"),
    *(ROOT / "infra/openresponses_dev/manage").rglob("*.py"),
    *(ROOT / "functions").rglob("*.py"),
    *(ROOT / "docs").rglob("*.md"),
]


@pytest.mark.parametrize("partition", REGIONS)
def test_a_stack_names_no_other_partition(partition: str, source: Json) -> None:
    region = REGIONS[partition]
    stack = Stack("kit", expand(source, region=region), {"AccessLogs": "create-account-role"}, region, partition)
    text = json.dumps([stack.resources, stack.outputs])
    assert set(re.findall(r"arn:(aws[a-z-]*):", text)) == {partition}


def test_what_is_shipped_names_none() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in SHIPPED
        if path.is_file() and path.suffix != ".pyc"
        for line in path.read_text().splitlines()
        if re.search(r"arn:aws[a-z-]*:", line)
    }
    assert found == set()


def test_a_services_principal_is_the_same_in_every_partition(deployed: Json) -> None:
    """lambda.amazonaws.com in China as well: https://github.com/aws/aws-cdk/issues/2198. The CDK names all of these
    alike in every Region, and keeps exceptions for others (https://github.com/aws/aws-cdk/commit/4af3685).
    """
    principals = set(re.findall(r'"Service": "([^"]+)"|"Principal": "([^"]+)"', json.dumps(deployed["Resources"])))
    assert {one or other for one, other in principals} - {"*"} <= {
        f"{service}.amazonaws.com" for service in ("lambda", "states", "apigateway", "cloudwatch")
    }


def test_an_address_of_aws_has_the_partitions_suffix(deployed: Json) -> None:
    stack = Stack("kit", deployed, region="cn-north-1", partition="aws-cn")
    assert stack.outputs["BaseUrl"].split("/")[2].endswith(".execute-api.cn-north-1.amazonaws.com.cn")
