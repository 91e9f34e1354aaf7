"""The example `lambda-tool`, as it is, before `openresponses dev`. The model is the offline one."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

from openresponses_dev.manage.deployment import Where, deployment_at
from tests.local.local_project import PATIENCE
from tests.manage.conftest import OPENRESPONSES, Cloud

EXAMPLE = Path(__file__).parents[2] / "examples/lambda-tool"
pytestmark = pytest.mark.xdist_group("manage")


def told(city: str) -> str:
    return json.dumps({"city": city})


def asked(cloud: Cloud, city: str) -> dict[str, Any]:
    """The call of the tool."""
    text = f"[[call weather {told(city)}]] What is it like?"
    body = {"model": "offline/demo", "input": text, "tools": [{"type": "serverless:weather"}]}
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    with httpx2.Client(base_url=cloud.base_url, timeout=PATIENCE, trust_env=False) as client:
        response = client.post("/responses", json=body, headers=headers).json()
    assert response["status"] == "completed", response
    call, said = response["output"]
    assert call["output"] in said["content"][0]["text"]
    return call


def test_the_model_calls_the_function_which_reads_its_table_and_a_trial_says_what_the_model_reads(
    tmp_path: Path,
) -> None:
    command = [OPENRESPONSES, "dev", "--port", "0", "--no-reload", "--keep-nothing", "--template", "template.yaml"]
    with subprocess.Popen(command, cwd=EXAMPLE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        base_url, key = (re.sub(r"export \w+=", "", process.stdout.readline().strip()) for _ in range(2))
        cloud = Cloud(base_url.removesuffix("/v1"), key, "")
        dynamodb = deployment_at(Where(local=cloud.origin)).client("dynamodb")
        (table,) = [each for each in dynamodb.list_tables()["TableNames"] if "Readings" in each]
        dynamodb.put_item(TableName=table, Item={"city": {"S": "Oslo"}, "celsius": {"N": "-3.5"}})
        oslo, rome = asked(cloud, "Oslo"), asked(cloud, "Rome")
        tried, refused = (cloud.run("tools", "test", "weather", told(city)) for city in ("Oslo", "Rome"))
        process.send_signal(signal.SIGINT)
    assert (oslo["type"], oslo["status"]) == ("serverless:weather", "completed")
    assert json.loads(oslo["output"]) == {"city": "Oslo", "celsius": -3.5}
    assert "There is no thermometer in Rome." in rome["output"]
    assert (tried.out, tried.status) == (oslo["output"] + "\n", 0), tried.err
    assert (refused.out, refused.status) == (rome["output"] + "\n", 1), refused.err
