# /// script
# requires-python = ">=3.11"
# dependencies = ["openai-agents==0.24.0"]
# ///
from agents import Agent, Runner, SQLiteSession, function_tool, set_tracing_disabled
from cells import MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel

set_tracing_disabled(True)


class City(BaseModel):
    name: str
    population: int


@function_tool
def weather() -> str:
    """The weather of today."""
    return WEATHER


def agent(**more):
    return Agent(name="Guide", model=MODEL, **more)


async def text():
    return (await Runner.run(agent(), TEXT)).final_output


async def stream():
    return [
        event.data.delta
        async for event in Runner.run_streamed(agent(), STREAM).stream_events()
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    ]


async def tools():
    return (await Runner.run(agent(tools=[weather]), TOOLS)).final_output


async def structured():
    return (await Runner.run(agent(output_type=City), STRUCTURED)).final_output.model_dump()


async def turns():
    session = SQLiteSession("ada")
    await Runner.run(agent(), TURNS[0], session=session)
    return (await Runner.run(agent(), TURNS[1], session=session)).final_output


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
