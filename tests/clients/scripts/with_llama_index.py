# /// script
# requires-python = ">=3.11"
# dependencies = ["llama-index-llms-openai==0.8.3"]
# ///
from cells import BASE_URL, MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.openai import OpenAIResponses
from pydantic import BaseModel

llm = OpenAIResponses(model=MODEL, api_base=BASE_URL, context_window=100_000)


class City(BaseModel):
    """A city."""

    name: str
    population: int


def weather() -> str:
    """The weather of today."""
    return WEATHER


def text():
    return llm.complete(TEXT).text


def stream():
    return [chunk.delta for chunk in llm.stream_complete(STREAM) if chunk.delta]


async def tools():
    return str(await FunctionAgent(tools=[weather], llm=llm, streaming=False).run(TOOLS))


def structured():
    return llm.structured_predict(City, PromptTemplate(STRUCTURED)).model_dump()


def turns():
    asked = ChatMessage(role="user", content=TURNS[0])
    first = llm.chat([asked]).message
    return llm.chat([asked, first, ChatMessage(role="user", content=TURNS[1])]).message.content


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
