"""The provider over HTTP, and the engine's loop, against a server that refuses what Bedrock does."""

import asyncio
import hashlib
import hmac
import json
import re
import sys
from asyncio import create_subprocess_exec, subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from openresponses.aws.session import session
from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.run import Run
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.dialects import bedrock, connect
from openresponses.dialects._shared.http_dialect import HttpDialect
from tests.contract import turns
from tests.contract.turns import SCHEMA, turn
from tests.contract.vendors import vendors
from tests.conversations import Conversation, kinds, user
from tests.conversations import text_of as said_by
from tests.fakes.network import Answered
from tests.fakes.server import FakeUpstream, fake_upstream, wire_of
from tests.fakes.wire import Received, Rules

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-6-v1"
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session-token"
CALLED = {"type": "function", "name": "f", "parameters": SCHEMA}
THINK = {"reasoning": {"effort": "low", "summary": "auto"}}


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials as Lambda gives them to a function."""
    given = {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "SESSION_TOKEN": TOKEN, "DEFAULT_REGION": "eu-west-1"}
    _alone(monkeypatch)
    for name, value in given.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield
    session.cache_clear()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    _alone(monkeypatch)
    yield
    session.cache_clear()


def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "DEFAULT_REGION", "REGION", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    session.cache_clear()  # it remembers the credentials that it has found


def settings(upstream: FakeUpstream, **fields: Any) -> ProviderSettings:
    return ProviderSettings(
        **{"name": "v", "dialect": "bedrock", "base_url": upstream.url, **wire_of("bedrock").settings, **fields}
    )


async def driven(upstream: FakeUpstream, **fields: Any) -> Run:
    return await turns.driven(settings(upstream), **fields)


@asynccontextmanager
async def provider_of(configured: ProviderSettings) -> AsyncIterator[HttpDialect]:
    provider = connect(configured)
    assert isinstance(provider, HttpDialect)
    yield provider
    await provider.aclose()


async def asked(provider: HttpDialect, to: Turn) -> list[d.Delta]:
    return [delta async for delta in provider.stream(to)]


def text_of(deltas: list[d.Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, d.Text))


@pytest.mark.parametrize("model", [SONNET, wire_of("bedrock").model, ARN])
@pytest.mark.parametrize("reasoning", [0, 3])
async def test_a_loop_of_parallel_hosted_calls_is_accepted_in_every_turn(model: str, reasoning: int) -> None:
    async with fake_upstream("bedrock", rules=Rules(reasoning=reasoning > 0)) as upstream:
        run = await driven(
            upstream,
            model=f"{model}!tools;turns=3;parallel=2;reasoning={reasoning}",
            tools=[{"type": "serverless:clock"}],
            instructions="Be exact.",
            **(THINK if reasoning else {}),
        )
    turn = (["reasoning"] if reasoning else []) + ["serverless:clock"] * 2
    last = (["reasoning"] if reasoning else []) + ["message"]
    assert [item.type for item in run.response.output] == [*turn * 3, *last]
    messages = upstream.requests[-1].body["messages"]
    calls = [sum("toolUse" in block for block in message["content"]) for message in messages[1::2]]
    assert calls == ([2, 2, 2] if reasoning else [1] * 6)
    assert (len(upstream.requests), upstream.connections, run.turns, upstream.refused) == (4, 1, 4, [])


GENERATIONS = [
    "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "us.anthropic.claude-opus-4-1-20250805-v1:0",
    SONNET,
    "global.anthropic.claude-sonnet-4-6",
    "us.anthropic.claude-opus-4-7",
    "global.anthropic.claude-opus-5",
    "global.anthropic.claude-fable-5-1",
    "global.anthropic.claude-opus-5-5",
    "global.anthropic.claude-sonnet-5-5",
    "global.anthropic.claude-haiku-5-5",
]
TOOL = {"type": "function", "name": "look", "parameters": {**SCHEMA, "additionalProperties": False}, "strict": True}
ANSWER = {"format": {"type": "json_schema", "name": "a", "schema": {**SCHEMA, "additionalProperties": False}}}


@pytest.mark.parametrize("model", GENERATIONS)
@pytest.mark.parametrize("effort", [None, "none", "minimal", "high", "xhigh"])
async def test_each_generation_of_models_takes_what_is_asked_of_it(model: str, effort: str | None) -> None:
    """Whatever the knobs, and with a history whose reasoning was of another time, with other tools and instructions."""
    knobs: dict[str, Any] = {"temperature": 0.3, "top_p": 0.9, "reasoning": {"effort": effort, "summary": "auto"}}
    question = {"role": "user", "content": "Go on"}
    async with fake_upstream("bedrock") as upstream:
        asked = {"model": f"{model}!tools;reasoning=2;turns=2", "tools": [{"type": "serverless:clock"}]}
        first = await driven(upstream, **asked, **knobs, instructions="A")
        said = [question, *(item.model_dump(mode="json") for item in first.response.output), question]
        for more in (
            {"instructions": "B"},
            {"tools": [TOOL]},
            {"tools": [TOOL], "tool_choice": "required"},
            {"tools": [TOOL], "tool_choice": {"type": "function", "name": "look"}},
            {"text": {"format": {"type": "json_object"}}},
            {"max_output_tokens": 1500},
        ):
            await driven(upstream, model=f"{model}!text", input=said, **knobs, **more)
        await driven(upstream, model=f"{model}!text", input=said, text=ANSWER, **knobs)
    assert upstream.refused == []


async def test_reasoning_that_is_bound_to_its_conversation_is_refused_in_another() -> None:
    model = "global.anthropic.claude-opus-5-5"
    async with fake_upstream("bedrock") as upstream:
        await driven(upstream, model=f"{model}!tools;reasoning=2", tools=[{"type": "serverless:clock"}], **THINK)
        request = upstream.requests[-1]
        del request.body["additionalModelRequestFields"]
        assert (await _post(upstream.url, request, request.body))[0].startswith("HTTP/1.1 200 ")
        changed = {**request.body, "system": [{"text": "Another"}]}
        assert "bound to a different conversation" in (await _post(upstream.url, request, changed))[1]


async def test_what_a_response_said_can_be_sent_back_with_the_outputs_of_its_calls() -> None:
    tool = {"type": "function", "name": "look.at", "parameters": SCHEMA}
    async with fake_upstream("bedrock", rules=Rules(reasoning=True)) as upstream:
        request: dict[str, Any] = {"model": f"{SONNET}!tools;parallel=3;reasoning=2", "tools": [tool], **THINK}
        first = await driven(upstream, **request)
        output = [item.model_dump(mode="json") for item in first.response.output]
        assert [item["name"] for item in output[1:]] == ["look.at"] * 3
        answers = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": f"seen {item['call_id']}"}
            for item in output
            if item["type"] == "function_call"
        ]
        question = {"role": "user", "content": "What do you see?"}
        second = await driven(upstream, **{**request, "input": [question, *output, *reversed(answers)]})
    said = second.response.output[-1].model_dump()["content"][0]["text"]
    assert said == "The tools said: seen call_fake_0_0 seen call_fake_0_1 seen call_fake_0_2 "


def signature_of(request: Received, region: str) -> str:
    """Computed by the documentation of Signature Version 4, without the SDK: a path is encoded once more."""
    headers = request.headers
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=(\w+)", headers["authorization"]
    )
    assert found
    credential, names, _ = found.groups()
    date = headers["x-amz-date"]
    scope = f"{date[:8]}/{region}/bedrock/aws4_request"
    assert credential == f"{KEY}/{scope}"
    payload = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode()
    canonical = "\n".join(
        [
            "POST",
            request.path.replace("%", "%25"),
            "",
            *(f"{name}:{headers[name]}" for name in names.split(";")),
            "",
            names,
            hashlib.sha256(payload).hexdigest(),
        ]
    )
    signed = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, signed.encode(), "sha256").hexdigest()


@pytest.mark.parametrize(("options", "region"), [({}, "eu-west-1"), ({"region": "us-west-2"}, "us-west-2")])
@pytest.mark.parametrize("model", [SONNET, ARN])
@pytest.mark.usefixtures("role")
async def test_requests_are_signed_by_the_function_s_role(model: str, options: Any, region: str) -> None:
    async with fake_upstream("bedrock") as upstream:
        configured = settings(upstream, api_key="", options=options, headers={"x-team": "a"})
        async with provider_of(configured) as provider:
            deltas = await asked(provider, turn(f"{model}!text;say=caf\u00e9", input="caf\u00e9"))
    (request,) = upstream.requests
    assert text_of(deltas) == "caf\u00e9 "
    assert request.headers["authorization"].endswith(f"Signature={signature_of(request, region)}")
    assert request.headers["x-amz-security-token"] == TOKEN
    assert request.headers["x-team"] == "a"
    assert request.headers["accept"] == "application/vnd.amazon.eventstream"
    assert "/" not in request.path.removeprefix("/model/").removesuffix("/converse-stream")


async def test_a_key_goes_as_it_is_and_nothing_is_signed() -> None:
    async with (
        fake_upstream("bedrock") as upstream,
        provider_of(settings(upstream, api_key="key-of-bedrock")) as provider,
    ):
        await asked(provider, turn(f"{SONNET}!text"))
    headers: Mapping[str, str] = upstream.requests[0].headers
    assert headers["authorization"] == "Bearer key-of-bedrock"
    assert not any(name.startswith("x-amz-") for name in headers)


@pytest.mark.usefixtures("nobody")
async def test_without_credentials_or_a_region_the_operator_is_told() -> None:
    async with fake_upstream("bedrock") as upstream:
        async with provider_of(settings(upstream, api_key="", options={"region": "us-east-1"})) as provider:
            with pytest.raises(errors.ProviderMisconfigured, match="no AWS credentials"):
                await asked(provider, turn(SONNET))
        async with provider_of(settings(upstream, base_url="")) as provider:
            with pytest.raises(errors.ProviderMisconfigured, match="set its option 'region'"):
                await asked(provider, turn(SONNET))
    assert upstream.connections == 0


@pytest.mark.usefixtures("role")
async def test_credentials_that_are_cut_short_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with fake_upstream("bedrock") as upstream, provider_of(settings(upstream, api_key="")) as provider:
        with pytest.raises(errors.ProviderMisconfigured, match="incomplete"):
            await asked(provider, turn(SONNET))


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1"),
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://vpce-0a1b-c2d3.bedrock-runtime.us-east-1.vpce.amazonaws.com", "us-east-1"),
        ("https://proxy.example.com/bedrock", "eu-west-1"),
    ],
)
@pytest.mark.usefixtures("role")
async def test_the_region_to_sign_for_is_the_endpoint_s(base_url: str, expected: str) -> None:
    signed: list[str] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        signed.append(request.headers["authorization"])
        return httpx2.Response(500)

    configured = ProviderSettings(name="v", dialect="bedrock", base_url=base_url)
    provider = bedrock.connect(configured, Answered(refuse))
    with pytest.raises(errors.ProviderUnavailable):
        await asked(provider, turn(SONNET))
    await provider.aclose()
    assert signed[0].partition("Credential=")[2].split("/")[2:4] == [expected, "bedrock"]


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "bedrock-runtime.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("eusc-de-east-1", "bedrock-runtime.eusc-de-east-1.amazonaws.eu"),
    ],
)
@pytest.mark.usefixtures("role")
async def test_a_region_s_endpoint_is_in_its_partition(region: str, host: str) -> None:
    asked_of: list[str] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        asked_of.append(request.url.host)
        return httpx2.Response(500)

    configured = ProviderSettings(name="v", dialect="bedrock", options={"region": region})
    provider = bedrock.connect(configured, Answered(refuse))
    with pytest.raises(errors.ProviderUnavailable):
        await asked(provider, turn(SONNET))
    await provider.aclose()
    assert asked_of[0] == host


@pytest.mark.usefixtures("role")
async def test_a_region_that_is_none_is_told() -> None:
    configured = ProviderSettings(name="v", dialect="bedrock", options={"region": "nowhere"})
    provider = bedrock.connect(configured, Answered(lambda _: httpx2.Response(200)))
    with pytest.raises(errors.ProviderMisconfigured, match=r"no region of AWS: nowhere"):
        await asked(provider, turn(SONNET))
    await provider.aclose()


def patience(directive: str) -> dict[str, Any]:
    """Short where time is what must pass: a busy machine may stand still for as long."""
    return {"first_byte_timeout": 1.0, "idle_timeout": 1.0} if directive.startswith("stall") else {}


FAULTS: list[tuple[str, type[errors.ProviderError], str]] = [
    ("throttle;after=7", errors.ProviderThrottled, "The provider limits our rate"),
    ("status;code=500", errors.ProviderUnavailable, "The provider failed"),
    ("status;code=503", errors.ProviderUnavailable, "The provider is not available"),
    ("status;code=403", errors.ProviderMisconfigured, "The provider refused our credentials"),
    ("status;code=400;message=no", errors.ProviderRejected, "The provider refused the request (HTTP 400): no"),
    ("status;code=408", errors.ProviderTimeout, "The model did not answer in time"),
    ("status;code=424", errors.ProviderUnavailable, "The model failed"),
    ("error", errors.ProviderUnavailable, "The provider failed"),
    ("error;code=429", errors.ProviderThrottled, "The provider limits our rate"),
    ("error;code=400", errors.ProviderRejected, "The provider refused the request (in its stream)"),
    ("cut", errors.ProviderUnavailable, "The connection to the provider broke"),
    ("reset", errors.ProviderUnavailable, "The provider closed the connection before it answered"),
    ("garbage", errors.StreamViolation, "The provider sent something that is not its event stream"),
    ("html", errors.StreamViolation, "The provider answered with a web page"),
    ("object", errors.ProviderUnavailable, "The provider failed"),
    ("stall", errors.ProviderTimeout, "The provider did not go on with its answer in time"),
    ("stall;tokens=-1", errors.ProviderTimeout, "The provider did not start to answer in time"),
    ("unheard-of", errors.ProviderRejected, "The provider refused the request (HTTP 404)"),
]


@pytest.mark.parametrize(("directive", "kind", "message"), FAULTS, ids=[directive for directive, _, _ in FAULTS])
async def test_each_fault_is_told_and_the_next_request_is_served(
    directive: str, kind: type[errors.ProviderError], message: str
) -> None:
    async with (
        fake_upstream("bedrock") as upstream,
        provider_of(settings(upstream, **patience(directive))) as provider,
    ):
        with pytest.raises(errors.ProviderError) as raised:
            await asked(provider, turn(f"{SONNET}!{directive}"))
        assert type(raised.value) is kind
        assert raised.value.message.startswith(message)
        assert getattr(raised.value, "retry_after", None) == (7 if "after" in directive else None)
        assert text_of(await asked(provider, turn(f"{SONNET}!text;say=well"))) == "well "


async def test_a_server_that_isn_t_there_or_speaks_no_tls_is_told() -> None:
    async with fake_upstream("bedrock") as upstream:
        url = upstream.url
        async with provider_of(settings(upstream, base_url=url.replace("http:", "https:"))) as provider:
            with pytest.raises(errors.ProviderUnavailable):
                await asked(provider, turn(SONNET))
    async with provider_of(replace(settings(upstream), base_url=url)) as provider:
        with pytest.raises(errors.ProviderUnavailable, match="could not be reached"):
            await asked(provider, turn(SONNET))


async def test_a_slow_stream_is_passed_on_as_it_comes() -> None:
    async with fake_upstream("bedrock") as upstream, provider_of(settings(upstream, idle_timeout=5)) as provider:
        loop, arrived = asyncio.get_running_loop(), list[float]()
        async for delta in provider.stream(turn(f"{SONNET}!text;tokens=5;delay_ms=400")):
            if isinstance(delta, d.Text):
                arrived.append(loop.time())
    assert len(arrived) == 5
    assert arrived[-1] - arrived[0] > 0.5


@pytest.mark.usefixtures("role")
@pytest.mark.parametrize("directive", ["endless;delay_ms=5", "stall", "stall;tokens=-1"])
async def test_turns_hold_no_thread_and_end_their_connections_when_given_up(directive: str) -> None:
    """With one thread for all: a turn that kept it would let no other be signed."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    async with fake_upstream("bedrock") as upstream, provider_of(settings(upstream, api_key="")) as provider:
        turns = [asyncio.create_task(asked(provider, turn(f"{SONNET}!{directive}"))) for _ in range(5)]
        async with asyncio.timeout(5):
            while upstream.seen[directive] < 5:
                await asyncio.sleep(0.01)
        assert text_of(await asked(provider, turn(f"{SONNET}!text;say=well"))) == "well "
        assert len(upstream.writers) == 6
        for each in turns:
            each.cancel()
        assert [type(each) for each in await asyncio.gather(*turns, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 5
        async with asyncio.timeout(2):
            while len(upstream.writers) > 1:
                await asyncio.sleep(0.01)


@pytest.mark.usefixtures("role")
async def test_many_turns_at_once_each_have_their_answer() -> None:
    async with fake_upstream("bedrock") as upstream, provider_of(settings(upstream, api_key="")) as provider:
        turns = (asked(provider, turn(f"{SONNET}!text;say=n{n};delay_ms=2")) for n in range(40))
        said = [text_of(deltas) for deltas in await asyncio.gather(*turns)]
    assert said == [f"n{n} " for n in range(40)]


@pytest.mark.usefixtures("role")
async def test_a_connection_that_died_meanwhile_is_made_and_signed_anew() -> None:
    async with fake_upstream("bedrock") as upstream, provider_of(settings(upstream, api_key="")) as provider:
        await asked(provider, turn(f"{SONNET}!text"))
        upstream.drop_connections()
        assert text_of(await asked(provider, turn(f"{SONNET}!text;say=well"))) == "well "
    assert upstream.connections == 2


IMPORTS = """
import sys
from openresponses.core.settings import ProviderSettings
from openresponses.dialects import connect
connect(ProviderSettings(name="v", dialect="bedrock", options={"region": "us-east-1"}))
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("boto3", "botocore")))
"""


async def test_aws_s_sdk_is_imported_by_the_first_request_only() -> None:
    process = await create_subprocess_exec(sys.executable, "-c", IMPORTS, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("no tools for its calls", {"toolConfig": None}, "The toolConfig field must be defined when using toolUse"),
    ("roles", {"messages": [{"role": "assistant", "content": [{"text": "a"}]}]}, "A conversation must start with"),
    ("unknown", {"max_tokens": 9}, "1 validation error detected: max_tokens: unknown"),
]


@pytest.mark.parametrize(("what", "change", "why"), WRONG, ids=[what for what, _, _ in WRONG])
async def test_the_fake_upstream_refuses_what_bedrock_does(what: str, change: dict[str, Any], why: str) -> None:
    async with fake_upstream("bedrock", rules=Rules(reasoning=True)) as upstream:
        await driven(upstream, model=f"{SONNET}!tools;reasoning=1", tools=[{"type": "serverless:clock"}], **THINK)
        request = upstream.requests[-1]
        changed = {**request.body, **change}
        body = {name: value for name, value in changed.items() if value is not None}
        answer = await _post(upstream.url, request, body)
    assert answer[0].startswith("HTTP/1.1 400 ")
    assert "x-amzn-errortype: ValidationException" in answer[0]
    assert json.loads(answer[1])["message"].startswith(why)


CHANGES: list[tuple[str, str, str]] = [
    ("an altered signature", r'("signature": ")(.)', r"\1x\2"),
    ("altered reasoning", r"thought0 ", "thought9 "),
    ("a lost signature", r', "signature": "[^"]+"', ""),
    ("lost reasoning", r'\{"reasoningContent": .*?\}\}\}, ', ""),
    ("a bad id", r"call_fake_0_0", "call fake"),
    ("another id in the result", r'("toolResult": \{"toolUseId": ")', r"\1x"),
    ("blank text", r'"text": "What time is it\?"', '"text": " "'),
    ("a bad name", r'"name": "clock"', '"name": "the clock"'),
]


@pytest.mark.parametrize(("what", "pattern", "by"), CHANGES, ids=[what for what, _, _ in CHANGES])
async def test_the_fake_upstream_refuses_what_was_changed(what: str, pattern: str, by: str) -> None:
    async with fake_upstream("bedrock", rules=Rules(reasoning=True)) as upstream:
        await driven(upstream, model=f"{SONNET}!tools;reasoning=1", tools=[{"type": "serverless:clock"}], **THINK)
        request = upstream.requests[-1]
        content = json.dumps(request.body)
        changed = re.sub(pattern, by, content, count=1)
        assert changed != content
        assert (await _post(upstream.url, request, request.body))[0].startswith("HTTP/1.1 200 ")
        assert (await _post(upstream.url, request, json.loads(changed)))[0].startswith("HTTP/1.1 400 ")


async def _post(url: str, request: Received, body: dict[str, Any]) -> tuple[str, str]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    content = json.dumps(body).encode()
    head = (
        f"POST {request.path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
    )
    writer.write(head.encode() + content)
    start = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", start)
    rest = (await reader.readexactly(int(length[1]))).decode() if length else ""
    writer.close()
    return start, rest


LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"


def operations(upstream: FakeUpstream) -> list[str]:
    return [request.path.rpartition("/")[2] for request in upstream.requests]


async def test_a_model_that_takes_no_tools_in_a_stream_is_asked_for_its_answer_at_once() -> None:
    clock = [{"type": "serverless:clock"}]
    async with fake_upstream("bedrock") as upstream:
        run = await driven(upstream, model=f"{LLAMA}!tools;turns=3;parallel=2;say=I look", tools=clock)
        await driven(upstream, model=f"{LLAMA}!text", tools=clock, tool_choice="required", instructions="Be exact.")
        alone = await driven(upstream, model=f"{LLAMA}!text;say=It is noon")
    calls = ["message", "serverless:clock", "serverless:clock"]
    assert [item.type for item in run.response.output] == [*calls * 3, "message"]
    assert run.usage.input_tokens > run.usage.output_tokens > 0
    assert alone.response.output[0].model_dump()["content"][0]["text"] == "It is noon "
    assert operations(upstream) == [*["converse"] * 5, "converse-stream"]
    assert upstream.refused == []


@pytest.mark.parametrize("stored", [True, False])
async def test_its_calls_are_streamed_to_the_client_turn_after_turn(stored: bool) -> None:
    tool = {"type": "function", "name": "look.at", "parameters": SCHEMA}
    async with vendors(["bedrock"]) as at:
        talk = Conversation(at.ask, stored, {"stream": True, "tools": [tool]})
        last = await talk.work(f"bedrock/{LLAMA}", user("/fake tools;turns=2;parallel=2"))
        assert [kinds(response) for response in talk.responses] == [["function_call"] * 2] * 2 + [["message"]]
        assert said_by(last) == "The tools said: " + "".join(f"seen call_fake_{n}_{i} " for n in (0, 2) for i in (0, 1))
        assert operations(at.upstreams["bedrock"]) == ["converse"] * 3
        assert at.refused == []


@pytest.mark.parametrize(
    ("directive", "kind"),
    [
        ("garbage", errors.StreamViolation),
        ("html", errors.StreamViolation),
        ("cut;bytes=40", errors.ProviderUnavailable),
        ("status;code=424", errors.ProviderUnavailable),
        ("throttle;after=7", errors.ProviderThrottled),
        ("stall", errors.ProviderTimeout),
    ],
)
async def test_an_answer_at_once_that_fails_is_told_as_a_stream_is(directive: str, kind: type[Exception]) -> None:
    async with (
        fake_upstream("bedrock") as upstream,
        provider_of(settings(upstream, **patience(directive))) as provider,
    ):
        with pytest.raises(errors.ProviderError) as raised:
            await asked(provider, turn(f"{LLAMA}!{directive}", tools=[CALLED]))
        assert type(raised.value) is kind
        assert text_of(await asked(provider, turn(f"{LLAMA}!text;say=well", tools=[CALLED]))) == "well "


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, "This model doesn't support tool use in streaming mode."),
        ({"toolConfig": None, "system": [{"text": "a"}, {"cachePoint": {"type": "default"}}]}, "You invoked an unsup"),
    ],
)
async def test_the_fake_upstream_refuses_what_llama_4_does(change: dict[str, Any], why: str) -> None:
    async with fake_upstream("bedrock") as upstream:
        await driven(upstream, model=f"{LLAMA}!text", tools=[CALLED])
        request = replace(upstream.requests[-1], path=f"{upstream.requests[-1].path}-stream")
        body = {name: value for name, value in {**request.body, **change}.items() if value is not None}
        answer = await _post(upstream.url, request, body)
    assert json.loads(answer[1])["message"].startswith(why)
