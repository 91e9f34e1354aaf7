# /// script
# requires-python = ">=3.11"
# dependencies = ["instructor==1.17.0"]
# ///
import instructor
from cells import MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from openai import OpenAI
from pydantic import BaseModel

client = instructor.from_openai(OpenAI(), mode=instructor.Mode.RESPONSES_TOOLS)


class City(BaseModel):
    """A city."""

    name: str
    population: int


def user(text):
    return {"role": "user", "content": text}


def text():
    return client.responses.create(model=MODEL, input=TEXT, response_model=None).output_text


def stream():
    partial = client.responses.create_partial(model=MODEL, input=STREAM, response_model=City)
    return [str(city) for city in partial]


def tools():
    """The loop is the caller's: instructor has none."""
    weather = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    asked = [user(TOOLS)]
    while True:
        answer = client.responses.create(model=MODEL, input=asked, tools=[weather], response_model=None)
        made = [item for item in answer.output if item.type == "function_call"]
        if not made:
            return answer.output_text
        outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": WEATHER} for call in made]
        asked = [*asked, *(item.model_dump() for item in answer.output), *outputs]


def structured():
    return client.responses.create(model=MODEL, input=STRUCTURED, response_model=City).model_dump()


def turns():
    first = client.responses.create(model=MODEL, input=[user(TURNS[0])], response_model=City)
    said = {"role": "assistant", "content": first.model_dump_json()}
    second = client.responses.create(model=MODEL, input=[user(TURNS[0]), said, user(TURNS[1])], response_model=City)
    return second.model_dump_json()


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
