# /// script
# requires-python = ">=3.11"
# dependencies = ["instructor==1.17.0"]
# ///
import instructor
from cells import MODEL, STREAM, STRUCTURED, TURNS, report
from openai import OpenAI
from pydantic import BaseModel

client = instructor.from_openai(OpenAI(), mode=instructor.Mode.RESPONSES_TOOLS)


class City(BaseModel):
    """A city."""

    name: str
    population: int


def user(text):
    return {"role": "user", "content": text}


def stream():
    partial = client.responses.create_partial(model=MODEL, input=STREAM, response_model=City)
    return [str(city) for city in partial]


def structured():
    return client.responses.create(model=MODEL, input=STRUCTURED, response_model=City).model_dump()


def turns():
    first = client.responses.create(model=MODEL, input=[user(TURNS[0])], response_model=City)
    said = {"role": "assistant", "content": first.model_dump_json()}
    second = client.responses.create(model=MODEL, input=[user(TURNS[0]), said, user(TURNS[1])], response_model=City)
    return second.model_dump_json()


report(stream=stream, structured=structured, turns=turns)
