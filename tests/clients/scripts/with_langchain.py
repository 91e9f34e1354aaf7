# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain==1.5.2", "langchain-openai==1.7.4"]
# ///
from cells import MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

model = ChatOpenAI(model=MODEL, use_responses_api=True)


class City(BaseModel):
    """A city."""

    name: str
    population: int


@tool
def weather() -> str:
    """The weather of today."""
    return WEATHER


def text():
    return model.invoke(TEXT).text


def stream():
    return [chunk.text for chunk in model.stream(STREAM) if chunk.text]


def tools():
    return create_agent(model, [weather]).invoke({"messages": [("user", TOOLS)]})["messages"][-1].text


def structured():
    return model.with_structured_output(City, method="json_schema").invoke(STRUCTURED).model_dump()


def turns():
    first = model.invoke([("user", TURNS[0])])
    return model.invoke([("user", TURNS[0]), first, ("user", TURNS[1])]).text


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
