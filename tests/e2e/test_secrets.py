"""Nothing that a client or a model said, and no key, is ever logged. The whole run is searched once more at its end."""

import httpx2
import pytest

from tests.e2e.conftest import PLANTED, Endpoint

REQUESTS = {
    "an answer": {"model": "fake/text", "input": "/fake text;say=planted-answer planted-answer"},
    "a stream": {"model": "offline/demo", "input": "Say planted-prompt.", "stream": True},
    "a tool's arguments": {
        "model": "offline/demo",
        "input": '[[call calculator {"expression": "planted-prompt"}]]',
        "tools": [{"type": "serverless:calculator"}],
    },
    "a tool that isn't there": {
        "model": "offline/demo",
        "input": "x",
        "tools": [{"type": "serverless:planted-prompt"}],
    },
    "a wrong field": {"model": "offline/demo", "input": "x", "temperature": "planted-prompt"},
    "a model that isn't there": {"model": "planted-prompt", "input": "planted-prompt"},
    "a refusal upstream": {"model": "fake/text", "input": "/fake status;code=400"},
    "a failure mid-stream": {"model": "fake/text", "input": "/fake error;say=planted-answer", "stream": True},
    "garbage mid-stream": {"model": "fake/text", "input": "/fake garbage;say=planted-answer", "stream": True},
    "an upstream that is gone": {"model": "gone/planted-prompt", "input": "planted-prompt"},
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_nothing_that_was_said_is_logged(cloud: Endpoint, name: str) -> None:
    before = len(cloud.log_lines())
    async with httpx2.AsyncClient(base_url=cloud.base_url, timeout=30) as client:
        good = {"authorization": f"Bearer {cloud.api_key}"}
        await client.post("/responses", json=REQUESTS[name], headers=good)
        await client.post("/responses", json=REQUESTS[name], headers={"authorization": "Bearer planted-prompt"})
        await client.post("/responses", content=b'{"planted-prompt', headers=good)
    lines = cloud.log_lines()[before:]
    assert any('"message":"re' in line for line in lines), "the functions' own lines are there to be searched"
    assert not [line for line in lines for secret in PLANTED if secret in line]
