"""Against botocore's own client: it sends what we send, the fake upstream is one to it, and it reads what we read."""

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from openresponses.dialects import connect
from openresponses.dialects.bedrock.stream import events_of
from tests.contract.cassettes import FOLDER, Cassette, load, names
from tests.contract.turns import turn_for
from tests.fakes.bedrock_shapes import as_parameters, operation
from tests.fakes.server import FakeUpstream, fake_upstream, wire_of

NAMES = names("bedrock")
CLAUDE = [name for name in NAMES if "anthropic." in load("bedrock", name).request.model]


def _client(url: str) -> Any:
    session = botocore.session.get_session()
    session.set_credentials("AKIDEXAMPLE", "secret", "token")
    config = Config(retries={"total_max_attempts": 1}, read_timeout=5)
    return session.create_client("bedrock-runtime", "eu-west-1", endpoint_url=url, config=config)


async def by_botocore(upstream: FakeUpstream, model: str, body: dict[str, Any]) -> list[Any]:
    """The events, as JSON has them: bytes are base64."""

    def ask() -> list[Any]:
        client = _client(upstream.url)
        try:
            parameters = as_parameters(operation().input_shape, {"modelId": model, **body})
            return list(client.converse_stream(**parameters)["stream"])
        finally:
            client.close()

    events = await asyncio.to_thread(ask)
    return json.loads(json.dumps(events, default=lambda octets: base64.b64encode(octets).decode()))


async def by_us(upstream: FakeUpstream, cassette: Cassette, model: str) -> None:
    provider = connect(replace(cassette.settings, base_url=upstream.url, api_key="key"))
    turn = turn_for(cassette.request.model_copy(update={"model": model}))
    assert [delta async for delta in provider.stream(turn)]
    await provider.aclose()


@pytest.mark.parametrize("name", [name for name in CLAUDE if name != "reasoning_returned"])
async def test_botocore_s_client_sends_what_we_send(name: str) -> None:
    """Its serializer drops what the service's model doesn't know, and encodes the path by its own rules."""
    cassette = load("bedrock", name)
    model, body = f"{cassette.request.model}!text", cassette.sent()
    async with fake_upstream("bedrock") as upstream:
        await by_botocore(upstream, model, body)
        await by_us(upstream, cassette, model)
        theirs, ours = upstream.requests
    assert (ours.path, ours.body) == (theirs.path, theirs.body)
    assert ours.headers["content-type"] == theirs.headers["content-type"]


@pytest.mark.parametrize("directive", ["text;reasoning=2", "tools;parallel=2", "length", "filter"])
async def test_botocore_s_client_reads_the_fake_upstream_as_we_do(directive: str) -> None:
    tool = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
    thinking = {"inferenceConfig": {"maxTokens": 4096}, "additionalModelRequestFields": {}}
    thinking["additionalModelRequestFields"] = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    body = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "toolConfig": {"tools": [tool]}, **thinking}
    async with fake_upstream("bedrock") as upstream:
        events = await by_botocore(upstream, f"{wire_of('bedrock').model}!{directive}", body)
    names = [next(iter(event)) for event in events]
    assert (names[0], names[-2:]) == ("messageStart", ["messageStop", "metadata"])
    assert events[-1]["metadata"]["usage"]["totalTokens"] > 0


async def test_botocore_s_client_reads_refusals_and_exceptions_of_the_fake_upstream() -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
    async with fake_upstream("bedrock") as upstream:
        for directive, code in (("throttle", "ThrottlingException"), ("error", "internalServerException")):
            with pytest.raises(ClientError) as raised:
                await by_botocore(upstream, f"{wire_of('bedrock').model}!{directive}", body)
            assert raised.value.response["Error"]["Code"] == code
        with pytest.raises(ClientError, match="blank"):
            await by_botocore(upstream, wire_of("bedrock").model, {"messages": [_said(" ")]})


@pytest.mark.parametrize("name", NAMES)
async def test_recorded_events_survive_their_frames_and_are_the_published_model_s(name: str) -> None:
    lines = (FOLDER / "bedrock" / f"{name}.events.jsonl").read_text().splitlines()
    recorded = [json.loads(line) for line in lines if "Exception" not in line and '"error"' not in line]

    async def chunks() -> Any:
        for frame in load("bedrock", name).wire[: len(recorded)]:
            yield frame

    ours = [event async for event in events_of(chunks())]
    stream: Any = botocore.session.get_session().get_service_model("bedrock-runtime").shape_for("ConverseStreamOutput")
    assert ours == recorded
    assert all(name in stream.members for event in ours for name in event)


def _said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"text": text}]}
