# /// script
# requires-python = ">=3.11"
# dependencies = ["openai==3.57.0"]
# ///
import json

from cells import MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI()


class City(BaseModel):
    name: str
    population: int


def text():
    return client.responses.create(model=MODEL, input=TEXT).output_text


def stream():
    events = client.responses.create(model=MODEL, input=STREAM, stream=True)
    return [event.delta for event in events if event.type == "response.output_text.delta"]


def tools():
    offered = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    asked = client.responses.create(model=MODEL, input=TOOLS, tools=offered)
    outputs = [
        {"type": "function_call_output", "call_id": item.call_id, "output": WEATHER}
        for item in asked.output
        if item.type == "function_call" and json.loads(item.arguments) == {}
    ]
    return client.responses.create(model=MODEL, input=outputs, tools=offered, previous_response_id=asked.id).output_text


def structured():
    return client.responses.parse(model=MODEL, input=STRUCTURED, text_format=City).output_parsed.model_dump()


def turns():
    first = client.responses.create(model=MODEL, input=TURNS[0])
    return client.responses.create(model=MODEL, input=TURNS[1], previous_response_id=first.id).output_text


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
