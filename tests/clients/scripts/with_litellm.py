# /// script
# requires-python = ">=3.11"
# dependencies = ["litellm==1.110.2"]
# ///
import json

import litellm
from cells import MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report

NAME = f"openai/{MODEL}"
# Of a model that it doesn't know, LiteLLM fakes the stream: it asks for the whole answer, and cuts it up.
litellm.register_model({NAME: {"litellm_provider": "openai", "mode": "responses", "supports_native_streaming": True}})


def text_of(response):
    return "".join(part.text for item in response.output if item.type == "message" for part in item.content)


def text():
    return text_of(litellm.responses(model=NAME, input=TEXT))


def stream():
    events = litellm.responses(model=NAME, input=STREAM, stream=True)
    return [event.delta for event in events if event.type == "response.output_text.delta"]


def tools():
    offered = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    asked = litellm.responses(model=NAME, input=TOOLS, tools=offered)
    outputs = [
        {"type": "function_call_output", "call_id": item.call_id, "output": WEATHER}
        for item in asked.output
        if item.type == "function_call"
    ]
    return text_of(litellm.responses(model=NAME, input=outputs, tools=offered, previous_response_id=asked.id))


def structured():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "population": {"type": "integer"}},
        "required": ["name", "population"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "city", "schema": schema, "strict": True}
    return json.loads(text_of(litellm.responses(model=NAME, input=STRUCTURED, text={"format": form})))


def turns():
    first = litellm.responses(model=NAME, input=TURNS[0])
    return text_of(litellm.responses(model=NAME, input=TURNS[1], previous_response_id=first.id))


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
