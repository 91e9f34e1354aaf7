# /// script
# requires-python = ">=3.11"
# dependencies = ["agent-framework-openai==1.17.0"]
# ///
from agent_framework import Agent
from agent_framework.openai import OpenAIChatClient
from cells import API_KEY, BASE_URL, MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from pydantic import BaseModel


class City(BaseModel):
    name: str
    population: int


def weather() -> str:
    """The weather of today."""
    return WEATHER


def agent(**more):
    client = OpenAIChatClient(MODEL, api_key=API_KEY, base_url=BASE_URL)
    return Agent(client, name="guide", **more)


async def text():
    return (await agent().run(TEXT)).text


async def stream():
    return [update.text async for update in agent().run(STREAM, stream=True) if update.text]


async def tools():
    return (await agent(tools=[weather]).run(TOOLS)).text


async def structured():
    return (await agent().run(STRUCTURED, options={"response_format": City})).value.model_dump()


async def turns():
    guide = agent()
    session = guide.create_session()
    await guide.run(TURNS[0], session=session)
    return (await guide.run(TURNS[1], session=session)).text


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
