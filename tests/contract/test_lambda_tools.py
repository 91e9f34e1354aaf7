"""Lambda functions as tools: over fakes of the two ports, then over a local Parameter Store and a local Lambda."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from openresponses.aws.functions import LambdaFunctions
from openresponses.aws.session import session
from openresponses.core.answers import MAX_FAILURE, MAX_OUTPUT
from openresponses.core.ports import Offer, ToolOutput
from openresponses.core.run import OfferedTool
from openresponses.schema.server_items import HostedToolCall
from openresponses.schema.tools import HostedTool
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles
from openresponses.toolbox.lambda_functions import LambdaTools
from openresponses.toolbox.source import ToolMisconfigured
from openresponses_dev.local.sandbox.calls import FunctionError, InvokeError
from openresponses_dev.local.sandbox.lambda_api import LambdaApi
from openresponses_dev.local.services.credentials import Credentials
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.intrinsics import REGION
from tests.unit.kit import new_run

Json = dict[str, Any]
RESPONSE = "resp_" + "0123456789abcdef" * 2
ITEM = "htc_" + "0123456789abcdef" * 2 + "0003"
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": ["integer", "null"]}, "extra": {"anyOf": []}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Json = {
    "function": "arn:aws:lambda:us-east-1:123456789012:function:openresponses-tool-weather",
    "description": "Tell the weather.",
    "parameters": SCHEMA,
    "timeout": 2,
}
LATER = {**WEATHER, "answers": "later", "timeout": 600}


@dataclass
class Said:
    """Parameters by name."""

    texts: Mapping[str, str]

    async def get(self, name: str) -> str | None:
        return self.texts.get(name.removeprefix("tools/"))

    async def names(self, folder: str) -> list[str]:
        return sorted(self.texts) if folder == "tools" else []


@dataclass
class Functions:
    """Keeps what it was invoked with."""

    answer: ToolOutput = ToolOutput("sunny")
    seconds: float = 0.0
    invoked: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])

    async def invoke(self, function: str, payload: Json) -> ToolOutput:
        self.invoked.append((function, payload))
        await asyncio.sleep(self.seconds)
        return self.answer


def call(name: str = "weather", arguments: str = '{"city": "Oslo"}') -> HostedToolCall:
    return HostedToolCall(
        type=f"serverless:{name}", id=ITEM, call_id="call_1", name=name, arguments=arguments, status="in_progress"
    )


def toolbox_of(functions: Functions, **parameters: object) -> Toolbox:
    texts = {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in parameters.items()}
    return Toolbox([ToolFiles(), LambdaTools(Said(texts), functions)])


def named(name: str) -> HostedTool:
    return HostedTool(type=f"serverless:{name}")


async def test_a_parameter_is_offered_as_a_tool() -> None:
    offered = await toolbox_of(Functions(), weather=WEATHER).offer(named("weather"))
    assert offered == Offer(
        [
            OfferedTool(
                name="weather",
                kind="hosted",
                item_type="serverless:weather",
                wire_name="weather",
                description="Tell the weather.",
                parameters=SCHEMA,
            )
        ]
    )


async def test_a_parameter_need_only_name_its_function() -> None:
    offer = await toolbox_of(Functions(), ping={"function": "openresponses-tool-ping"}).offer(named("ping"))
    assert offer is not None
    assert offer.tools[0].parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize("name", ["nothing", "rejected_call", "w" * 65])
async def test_what_is_no_tools_name_is_no_tool(name: str) -> None:
    assert await toolbox_of(Functions(), **{"rejected_call": WEATHER, "w" * 65: WEATHER}).offer(named(name)) is None


async def test_a_file_wins_over_a_parameter_of_the_same_name() -> None:
    functions = Functions()
    tools = toolbox_of(functions, calculator=WEATHER)
    assert await tools.offer(named("calculator")) == await ToolFiles().offer(named("calculator"))
    assert await tools.call(call("calculator", '{"expression": "6*7"}'), new_run()) == ToolOutput("42")
    assert functions.invoked == []


async def test_a_function_is_told_which_call_this_is_and_the_same_on_a_retry() -> None:
    functions = Functions()
    tools = toolbox_of(functions, weather=WEATHER)
    assert [await tools.call(call(), new_run()) for _ in range(2)] == [ToolOutput("sunny")] * 2
    payload = {
        "call_id": "call_1",
        "response_id": RESPONSE,
        "idempotency_token": ITEM,
        "name": "weather",
        "arguments": {"city": "Oslo"},
    }
    assert functions.invoked == [(WEATHER["function"], payload)] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{", "The arguments of weather are not JSON: Expecting property name"),
        ('{"city": NaN}', "NaN is no number that JSON has"),
        ('{"city": "Oslo", "days": 1e999}', "1e999 is no number that JSON has"),
        ("[" * 100_000, "The arguments of weather are not JSON"),
        ("[]", "The arguments of weather must be a JSON object with "),
        ("", "Wrong arguments for weather: city is missing. It takes city, days, extra."),
        ('{"city": 1}', "city must be of type string"),
        ('{"city": "Oslo", "days": 1.5}', "days must be of type integer or null"),
        ('{"city": "Oslo", "days": true}', "days must be of type integer or null"),
        ('{"city": "Oslo", "when": 1}', "when is not among them"),
    ],
)
async def test_wrong_arguments_are_told_to_the_model_and_nothing_is_invoked(arguments: str, message: str) -> None:
    functions = Functions()
    output = await toolbox_of(functions, weather=WEATHER).call(call(arguments=arguments), new_run())
    assert output.failed
    assert message in output.text
    assert functions.invoked == []


@pytest.mark.parametrize("arguments", ['{"city": "Oslo", "days": 3.0}', '{"city": "", "days": null, "extra": [1]}'])
async def test_what_a_schema_does_not_plainly_say_is_left_to_the_function(arguments: str) -> None:
    functions = Functions()
    assert await toolbox_of(functions, weather=WEATHER).call(call(arguments=arguments), new_run()) == ToolOutput(
        "sunny"
    )
    assert functions.invoked[0][1]["arguments"] == json.loads(arguments)


async def test_a_function_that_takes_too_long_is_given_up() -> None:
    tools = toolbox_of(Functions(seconds=5), weather={**WEATHER, "timeout": 0.05})
    output = await tools.call(call(), new_run())
    assert output.failed
    assert output.text.startswith("weather took longer than 0.05 seconds and was given up.")


async def test_an_output_is_bounded_and_so_is_a_failure() -> None:
    tools = toolbox_of(Functions(ToolOutput("x" * (MAX_OUTPUT + 1))), weather=WEATHER)
    assert (await tools.call(call(), new_run())).text.endswith(
        f"[cut: this is {MAX_OUTPUT} of {MAX_OUTPUT + 1} characters]"
    )
    tools = toolbox_of(Functions(ToolOutput("x" * (MAX_FAILURE + 1), failed=True)), weather=WEATHER)
    output = await tools.call(call(), new_run())
    assert output.failed
    assert output.text.endswith(f"[cut: this is {MAX_FAILURE} of {MAX_FAILURE + 1} characters]")


@pytest.mark.parametrize(
    "parameter",
    [
        *("not JSON", "{}", {**WEATHER, "timeout": 301}, {**WEATHER, "timeout": 0}, {**WEATHER, "parameters": "none"}),
        *({**WEATHER, "answers": "soon"}, {**WEATHER, "answers": "later", "timeout": 30 * 86_400 + 1}),
    ],
)
async def test_a_wrong_parameter_is_an_operators_mistake(parameter: object) -> None:
    tools = toolbox_of(Functions(), weather=parameter)
    with pytest.raises(ToolMisconfigured, match="'weather' is not set up correctly"):
        await tools.offer(named("weather"))
    assert (await tools.call(call(), new_run())).failed


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [({}, 86_400), ({"timeout": 0.2}, 1), ({"timeout": 2e6}, 2_000_000), ({"timeout": 30 * 86_400}, 29.5 * 86_400)],
)
async def test_a_tool_that_answers_later_is_offered_with_the_time_for_its_answer(timeout: Json, seconds: float) -> None:
    """In whole seconds. Half a day of what a response is kept for is left for what comes before and after."""
    parameter = {"function": WEATHER["function"], "answers": "later", **timeout}
    offer = await toolbox_of(Functions(), weather=parameter).offer(named("weather"))
    assert offer is not None
    (tool,) = offer.tools
    assert (tool.answers_later, tool.timeout) == (True, seconds)


async def test_no_answer_may_take_longer_than_responses_are_kept_or_an_execution_lasts() -> None:
    for kept, timeout in ((1, 0.5), (3650, 329.5)):
        texts = {"weather": json.dumps({**LATER, "timeout": min(kept, 330) * 86_400})}
        offer = await LambdaTools(Said(texts), Functions(), kept * 86_400).offer(named("weather"))
        assert offer is not None
        assert offer.tools[0].timeout == timeout * 86_400


async def test_a_function_that_answers_later_gets_a_token_and_what_it_returns_is_no_answer() -> None:
    functions = Functions()
    assert await toolbox_of(functions, weather=LATER).ask(call(), new_run(), "token 1") is None
    assert functions.invoked == [
        (
            WEATHER["function"],
            {
                "call_id": "call_1",
                "response_id": RESPONSE,
                "idempotency_token": ITEM,
                "name": "weather",
                "arguments": {"city": "Oslo"},
                "task_token": "token 1",
            },
        )
    ]


async def test_a_function_that_runs_longer_than_it_may_has_its_token_and_is_waited_for() -> None:
    tools = toolbox_of(Functions(seconds=5), weather={**LATER, "timeout": 0.05})
    assert await tools.ask(call(), new_run(), "token 1") is None


async def test_a_function_that_answers_later_and_fails_at_once_is_told_to_the_model() -> None:
    broken = toolbox_of(Functions(ToolOutput("The tool failed: KeyError", failed=True)), weather=LATER)
    assert await broken.ask(call(), new_run(), "t") == ToolOutput("The tool failed: KeyError", failed=True)
    wrong = await toolbox_of(Functions(), weather=LATER).ask(call(arguments="{}"), new_run(), "t")
    assert wrong is not None
    assert "city is missing" in wrong.text
    gone = await toolbox_of(Functions()).ask(call(), new_run(), "t")
    assert gone == ToolOutput("There is no tool named 'weather' here. Go on without it.", failed=True)


async def test_a_tool_that_is_gone_when_it_is_called_is_told_to_the_model() -> None:
    output = await toolbox_of(Functions()).call(call(), new_run())
    assert output == ToolOutput("There is no tool named 'weather' here. Go on without it.", failed=True)


def failing(error: Exception) -> Callable[[bytes], bytes]:
    def run(_event: bytes) -> bytes:
        raise error

    return run


@dataclass
class Lambda:
    functions: LambdaFunctions
    targets: dict[str, Callable[[bytes], bytes]]


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    targets: dict[str, Callable[[bytes], bytes]] = {}
    aws = LocalAws(None, LambdaApi(targets))
    aws.start()
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    session.cache_clear()  # it remembers the credentials that it has found
    functions = LambdaFunctions(REGION)
    yield Lambda(functions, targets)
    functions.close()
    session.cache_clear()
    aws.stop()


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (b'"sunny \\u2600"', ToolOutput("sunny \u2600")),
        ('{"sky": "\u2600", "c": 21.5}'.encode(), ToolOutput('{"sky": "\u2600", "c": 21.5}')),
        (b"null", ToolOutput("null")),
        (b"<html>", ToolOutput("The tool's answer is not JSON.", failed=True)),
        (b"\xff", ToolOutput("The tool's answer is not JSON.", failed=True)),
    ],
)
async def test_text_is_an_answer_as_it_is_and_all_else_as_json(
    local: Lambda, answer: bytes, output: ToolOutput
) -> None:
    events: list[bytes] = []

    def function(event: bytes) -> bytes:
        events.append(event)
        return answer

    local.targets["openresponses-tool-weather"] = function
    assert await local.functions.invoke(WEATHER["function"], {"name": "weather", "arguments": {"n": 1}}) == output
    assert [json.loads(event) for event in events] == [{"name": "weather", "arguments": {"n": 1}}]


class Traced(FunctionError):
    """As AWS's own runtimes tell it."""

    def document(self) -> bytes:
        return json.dumps({**json.loads(super().document()), "stackTrace": ["File secret.py"]}).encode()


async def test_a_function_that_fails_tells_the_model_why_but_not_where(local: Lambda) -> None:
    local.targets["f"] = failing(Traced("KeyError", "'city'"))
    assert await local.functions.invoke("f", {}) == ToolOutput("The tool failed: KeyError: 'city'", failed=True)


async def test_a_function_that_is_not_there_is_not_tried_again(local: Lambda) -> None:
    output = await local.functions.invoke("nobody", {})
    assert output == ToolOutput("The tool can't be called: ResourceNotFoundException. Go on without it.", failed=True)


@pytest.mark.parametrize(
    "error", [InvokeError(429, "TooManyRequestsException", "busy"), InvokeError(500, "ServiceException", "down")]
)
async def test_a_busy_lambda_is_asked_again_and_then_told_to_the_model(local: Lambda, error: InvokeError) -> None:
    asked = 0

    def function(_event: bytes) -> bytes:
        nonlocal asked
        asked += 1
        raise error

    local.targets["f"] = function
    output = await local.functions.invoke("f", {})
    assert (asked, output.failed) == (3, True)
    assert output.text.startswith("The tool is busy or does not answer.")


async def test_calls_are_made_side_by_side(local: Lambda) -> None:
    barrier = threading.Barrier(5)

    def function(_event: bytes) -> bytes:
        barrier.wait(10)
        return b'"met"'

    local.targets["f"] = function
    outputs = await asyncio.gather(*(local.functions.invoke("f", {}) for _ in range(5)))
    assert outputs == [ToolOutput("met")] * 5


@dataclass
class Counter:
    handler: Callable[[Mapping[str, Any], object], Json]
    add: Callable[[str, str, int | None, int], bool]

    def count(self, token: str, by: object, name: str = "visits") -> object:
        event = {"idempotency_token": token, "arguments": {"name": name, "by": by}}
        return self.handler(event, None)["value"]


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    monkeypatch.setenv("TABLE", "counter")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        boto3.client("dynamodb", region_name=REGION, **Credentials.new().for_boto3()).create_table(
            TableName="counter",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        path = Path(__file__).parents[2] / "infra/examples/counter/app.py"
        spec = importlib.util.spec_from_file_location("counter_example", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield Counter(module.handler, module._add)


def test_the_example_counts_each_call_once(counter: Counter) -> None:
    assert [counter.count("a", 2), counter.count("b", 3), counter.count("a", 2), counter.count("c", 0)] == [2, 5, 2, 5]
    assert counter.count("d", -1, "others") == -1


def test_the_example_writes_nothing_over_another_call(counter: Counter) -> None:
    assert counter.count("a", 2) == 2
    assert not counter.add("call/b", "counter/visits", None, 1)
    assert not counter.add("call/b", "counter/visits", 1, 9)
    assert not counter.add("call/a", "counter/visits", 2, 9)
    assert counter.count("c", 0) == 2


@pytest.mark.parametrize("by", ["2", 2_000_000, True])
def test_the_example_refuses_what_is_not_a_small_number(counter: Counter, by: object) -> None:
    with pytest.raises(ValueError, match="by must be a whole number"):
        counter.count("a", by)
