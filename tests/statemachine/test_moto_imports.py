"""Moto is imported without EC2, and has it all the same where somebody asks for it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys

from openresponses_dev.local.sandbox.lambda_api import LambdaApi
from openresponses_dev.local.services.local_aws import LocalAws

aws = LocalAws(None, LambdaApi({}), parameters={"/one": "1"})
aws.start()
assert aws.client("ssm").get_parameter(Name="/one")["Parameter"]["Value"] == "1"
print([name for name in sys.modules if name.startswith(("moto.ec2", "moto.batch.models"))])

targets = [{"Key": "tag:Name", "Values": ["none"]}]
told = aws.client("ssm").send_command(DocumentName="AWS-RunShellScript", Targets=targets)
print(told["Command"]["InstanceIds"], len(aws.client("ec2").describe_vpcs()["Vpcs"]))
print(aws.client("batch").describe_job_queues()["jobQueues"])
aws.stop()
"""


def test_ec2_is_imported_when_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert (done.stdout.splitlines(), done.returncode) == (["[]", "[] 1", "[]"], 0), done.stderr
