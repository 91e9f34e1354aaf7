"""The example `lambda-tool`, as it is, in the local cloud. The model is the offline one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2

from openresponses_dev.local.cloud import LocalCloud
from tests.local.local_project import PATIENCE

EXAMPLE = Path(__file__).parents[2] / "examples/lambda-tool"


async def asked(cloud: LocalCloud, city: str) -> dict[str, Any]:
    """The call of the tool."""
    text = f"[[call weather {json.dumps({'city': city})}]] What is it like?"
    body = {"model": "offline/demo", "input": text, "tools": [{"type": "serverless:weather"}]}
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    async with httpx2.AsyncClient(base_url=cloud.base_url, timeout=PATIENCE, trust_env=False) as client:
        response = (await client.post("/responses", json=body, headers=headers)).json()
    assert response["status"] == "completed", response
    call, said = response["output"]
    assert call["output"] in said["content"][0]["text"]
    return call


async def test_the_model_calls_the_function_which_reads_its_table() -> None:
    async with LocalCloud(EXAMPLE / "template.yaml") as cloud:
        table = cloud.functions["WeatherFunction"].spec.environment["TABLE"]
        reading = {"city": {"S": "Oslo"}, "celsius": {"N": "-3.5"}}
        await asyncio.to_thread(cloud.aws.client("dynamodb").put_item, TableName=table, Item=reading)
        oslo, rome = await asked(cloud, "Oslo"), await asked(cloud, "Rome")
    assert (oslo["type"], oslo["status"]) == ("serverless:weather", "completed")
    assert json.loads(oslo["output"]) == {"city": "Oslo", "celsius": -3.5}
    assert "There is no thermometer in Rome." in rome["output"]
