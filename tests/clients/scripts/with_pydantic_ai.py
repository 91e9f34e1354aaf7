# /// script
# requires-python = ">=3.11"
# dependencies = ["pydantic-ai-slim[openai]==2.68.0"]
# ///
from cells import MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIResponsesModel

model = OpenAIResponsesModel(MODEL)


class City(BaseModel):
    name: str
    population: int


def weather() -> str:
    """The weather of today."""
    return WEATHER


async def text():
    return (await Agent(model).run(TEXT)).output


async def stream():
    async with Agent(model).run_stream(STREAM) as run:
        return [piece async for piece in run.stream_text(delta=True, debounce_by=None)]


async def tools():
    return (await Agent(model, tools=[weather]).run(TOOLS)).output


async def structured():
    return (await Agent(model, output_type=NativeOutput(City)).run(STRUCTURED)).output.model_dump()


async def turns():
    agent = Agent(model)
    first = await agent.run(TURNS[0])
    return (await agent.run(TURNS[1], message_history=first.all_messages())).output


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
