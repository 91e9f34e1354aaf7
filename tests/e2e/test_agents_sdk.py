"""The OpenAI Agents SDK, unmodified: an agent with two tools, streamed."""

from agents import (
    Agent,
    ModelSettings,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

from tests.e2e.conftest import Endpoint

set_tracing_disabled(True)
called: list[str] = []


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    called.append(f"weather {city}")
    return f"It is sunny in {city}."


@function_tool
def population(city: str) -> int:
    """How many people live in a city."""
    called.append(f"population {city}")
    return 10_000_000


async def test_an_agent_with_two_tools_streams_to_its_end(cloud: Endpoint) -> None:
    called.clear()
    async with AsyncOpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0) as client:
        agent = Agent(
            name="Guide",
            instructions="Answer with the tools.",
            tools=[weather, population],
            model=OpenAIResponsesModel("offline/demo", client),
            model_settings=ModelSettings(parallel_tool_calls=True, store=False),
        )
        run = Runner.run_streamed(
            agent, "What are the weather and the population of Lima?", run_config=RunConfig(tracing_disabled=True)
        )
        kinds = [event.type async for event in run.stream_events()]
    assert sorted(call.split()[0] for call in called) == ["population", "weather"]
    assert "raw_response_event" in kinds
    assert "sunny" in str(run.final_output)
