"""What is kept, and taken over: CloudFormation as ministack has it, which knows imports and RetainExceptOnCreate.

The commands are those of docs/deploy.md. AWS itself was not asked.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest

from tests.contract import ministack
from tests.template.reading import ROOT, Json
from tests.template.stack import Stack
from tests.template.test_storage import KEPT

pytestmark = [pytest.mark.ministack, pytest.mark.timeout(300), pytest.mark.xdist_group("adopt")]

REGION = "us-east-1"


class Cloud:
    def __init__(self) -> None:
        self.cloudformation = self.client("cloudformation")

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)

    def tables(self) -> list[str]:
        return self.client("dynamodb").list_tables()["TableNames"]

    def buckets(self) -> list[str]:
        return [each["Name"] for each in self.client("s3").list_buckets()["Buckets"]]

    def waits(self, for_: str, **arguments: str) -> None:
        waiter = self.cloudformation.get_waiter(for_)
        waiter.config.delay = 0.2
        waiter.wait(**arguments)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with ministack.emptied():
        yield Cloud()


def storage(deployed: Json, **more: Json) -> str:
    """The template's storage, and nothing of the rest but what is given."""
    template = Stack("kit", deployed).existing
    resources = {name: template["Resources"][name] for name in KEPT} | more
    return json.dumps({"Parameters": template["Parameters"], "Resources": resources})


def test_a_table_that_was_kept_is_taken_over_with_what_is_in_it(cloud: Cloud, deployed: Json) -> None:
    cloud.cloudformation.create_stack(StackName="kit", TemplateBody=storage(deployed))
    cloud.waits("stack_create_complete", StackName="kit")
    (table,), (bucket,) = cloud.tables(), cloud.buckets()
    item = {"pk": {"S": "key#one"}, "sk": {"S": "key"}}
    cloud.client("dynamodb").put_item(TableName=table, Item=item)
    cloud.client("s3").put_object(Bucket=bucket, Key="response/one", Body=b"kept")

    cloud.cloudformation.delete_stack(StackName="kit")
    cloud.waits("stack_delete_complete", StackName="kit")
    assert (cloud.tables(), cloud.buckets()) == ([table], [bucket])

    (listed,) = re.findall(r"--resources-to-import \"(.*?)\"\n", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    cloud.cloudformation.create_change_set(
        StackName="kit",
        ChangeSetName="adopt",
        ChangeSetType="IMPORT",
        TemplateBody=(ROOT / "infra/adopt.yaml").read_text(),
        ResourcesToImport=json.loads(listed.replace("\\", "").replace("$TABLE", table).replace("$BUCKET", bucket)),
    )
    cloud.waits("change_set_create_complete", StackName="kit", ChangeSetName="adopt")
    cloud.cloudformation.execute_change_set(StackName="kit", ChangeSetName="adopt")
    cloud.waits("stack_import_complete", StackName="kit")

    cloud.client("s3").delete_bucket_policy(Bucket=bucket)
    cloud.cloudformation.update_stack(StackName="kit", TemplateBody=storage(deployed))
    cloud.waits("stack_update_complete", StackName="kit")
    assert (cloud.tables(), cloud.buckets()) == ([table], [bucket])
    assert cloud.client("dynamodb").scan(TableName=table)["Items"] == [item]
    assert cloud.client("s3").get_object(Bucket=bucket, Key="response/one")["Body"].read() == b"kept"
    assert "aws:SecureTransport" in cloud.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]


def test_a_first_deploy_that_fails_leaves_nothing(cloud: Cloud, deployed: Json) -> None:
    cloud.client("ssm").put_parameter(Name="/taken", Type="String", Value="another's")
    parameter = {"Name": "/taken", "Type": "String", "Value": "ours"}
    broken = {"Type": "AWS::SSM::Parameter", "DependsOn": [*KEPT], "Properties": parameter}
    cloud.cloudformation.create_stack(StackName="broken", TemplateBody=storage(deployed, Broken=broken))
    with pytest.raises(botocore.exceptions.WaiterError):
        cloud.waits("stack_create_complete", StackName="broken")
    (stack,) = cloud.cloudformation.describe_stacks(StackName="broken")["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert (cloud.tables(), cloud.buckets()) == ([], [])
