"""What `sam local` is told of a running local cloud, and what a function is told of AWS."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.private_folder import PrivateFolder, read_private
from openresponses_dev.local.sandbox.environment import sandbox_environment
from openresponses_dev.local.template.template import read_template
from tests.local.local_project import ROOT

TEMPLATE = ROOT / "template.yaml"
CARRIER = "OPENRESPONSES_LOCAL_AWS"
OTHER_AWS = {
    "AWS_ACCESS_KEY_ID": "real",
    "AWS_CONFIG_FILE": "real",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/real",
    "AWS_ENDPOINT_URL": "https://real.invalid",
    "AWS_ENDPOINT_URL_DYNAMODB": "https://real.invalid",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_PROFILE": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "real",
}


def file_of(folder: Path) -> dict[str, dict[str, str]]:
    found: Any = read_private(folder / ".openresponses" / "sam-local.json")
    return found


async def test_a_function_is_told_what_the_running_ones_are_told(tmp_path: Path) -> None:
    cloud = LocalCloud(TEMPLATE, env={"OPENRESPONSES_LOG_DAYS": "3", "MINE": "1"}, private=PrivateFolder(tmp_path))
    async with cloud:
        file = file_of(tmp_path)
        path = tmp_path / ".openresponses" / "sam-local.json"
        assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]
        assert set(file) == set(cloud.functions)
        for name, variables in file.items():
            spec = cloud.functions[name].spec
            runs = cloud.environment(spec, "api")
            assert set(variables) == set(spec.environment)  # SAM passes no other ones on
            assert {**variables, CARRIER: ""} == {each: runs[each] for each in variables}
            assert json.loads(variables[CARRIER]) == {
                **cloud.aws.environment(),
                "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": f"{cloud.socket_origin}/responses",
                "OPENRESPONSES_WEBSOCKET_URL": cloud.websocket_url,
                "OPENRESPONSES_LOOPBACK": "true",
                "OPENRESPONSES_TRACEBACKS": "true",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_SESSION_TOKEN": "",
            }
    assert file["ApiFunction"]["OPENRESPONSES_LOG_DAYS"] == "3"
    assert not path.exists()


@pytest.mark.parametrize(("address", "listens"), [("127.0.0.2", "127.0.0.2"), ("10.255.255.254", "127.0.0.1")])
async def test_a_container_finds_the_services_at_the_address_that_was_given(
    tmp_path: Path, address: str, listens: str
) -> None:
    async with LocalCloud(TEMPLATE, private=PrivateFolder(tmp_path), sam_host=address) as cloud:
        variables = json.loads(file_of(tmp_path)["ApiFunction"][CARRIER])
        port = cloud.aws.endpoint_url.rpartition(":")[2]
        assert variables["AWS_ENDPOINT_URL"] == f"http://{address}:{port}"
        assert cloud.aws.endpoint_url == f"http://{listens}:{port}"
        client: Any = boto3.client(
            "dynamodb",
            endpoint_url=cloud.aws.endpoint_url,
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )
        table = file_of(tmp_path)["ApiFunction"]["OPENRESPONSES_TABLE"]
        assert client.list_tables()["TableNames"] == [table]


@pytest.mark.parametrize("address", ["0.0.0.0", "8.8.8.8", "host.docker.internal", "::1", ""])
def test_the_services_are_offered_to_no_wider_network(address: str) -> None:
    with pytest.raises(ValueError, match="not an IPv4 address of a private network"):
        LocalCloud(TEMPLATE, sam_host=address)


async def test_no_function_is_started_without_an_endpoint_or_with_the_developer_s(
    monkeypatch: pytest.MonkeyPatch, template: Path
) -> None:
    async with LocalCloud(TEMPLATE) as cloud:
        for name, value in OTHER_AWS.items():
            monkeypatch.setenv(name, value)
        for function in cloud.functions.values():
            environment = cloud.environment(function.spec, "api")
            assert environment["AWS_ENDPOINT_URL"] == cloud.aws.endpoint_url
            assert environment["AWS_ACCESS_KEY_ID"] == cloud.aws.credentials.access_key_id
            assert isolated(environment)
            assert {name for name, value in OTHER_AWS.items() if environment.get(name) == value} == set()
    spec = replace(next(iter(read_template(template).functions.values())), environment=OTHER_AWS)
    bare = sandbox_environment(spec, "api", {}, {})
    assert bare["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert isolated(bare)


def isolated(environment: dict[str, str]) -> bool:
    files = {environment["AWS_CONFIG_FILE"], environment["AWS_SHARED_CREDENTIALS_FILE"]}
    return (
        files == {os.devnull}
        and environment["AWS_EC2_METADATA_DISABLED"] == "true"
        and environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] == "false"
    )
