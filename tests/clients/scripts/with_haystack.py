# /// script
# requires-python = ">=3.11"
# dependencies = ["haystack-ai==3.4.1"]
# ///
import json
import os

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from cells import BASE_URL, MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIResponsesChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool
from pydantic import BaseModel


class City(BaseModel):
    name: str
    population: int


@tool
def weather() -> str:
    """The weather of today."""
    return WEATHER


def generator(**more):
    return OpenAIResponsesChatGenerator(model=MODEL, api_base_url=BASE_URL, **more)


def user(text):
    return ChatMessage.from_user(text)


def text():
    return generator().run([user(TEXT)])["replies"][0].text


def stream():
    pieces = []
    generator(streaming_callback=lambda chunk: pieces.append(chunk.content)).run([user(STREAM)])
    return [piece for piece in pieces if piece]


def tools():
    return Agent(chat_generator=generator(), tools=[weather]).run([user(TOOLS)])["last_message"].text


def structured():
    reply = generator(generation_kwargs={"text_format": City}).run([user(STRUCTURED)])["replies"][0]
    return json.loads(reply.text)


def turns():
    first = generator().run([user(TURNS[0])])["replies"][0]
    return generator().run([user(TURNS[0]), first, user(TURNS[1])])["replies"][0].text


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
