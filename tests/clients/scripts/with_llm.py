# /// script
# requires-python = ">=3.11"
# dependencies = ["llm==0.36"]
# ///
import json
import os
import tempfile
from pathlib import Path

import llm
from cells import API_KEY, BASE_URL, MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report
from pydantic import BaseModel

home = Path(tempfile.mkdtemp())
os.environ["LLM_USER_PATH"] = str(home)
known = {
    "model_id": "ours",
    "model_name": MODEL,
    "api_base": BASE_URL,
    "api_key_name": "ours",
    "responses": True,
    "supports_schema": True,
    "supports_tools": True,
}
(home / "extra-openai-models.yaml").write_text(json.dumps([known]))
(home / "keys.json").write_text(json.dumps({"ours": API_KEY}))

model = llm.get_model("ours")


class City(BaseModel):
    name: str
    population: int


def weather() -> str:
    """The weather of today."""
    return WEATHER


def text():
    return model.prompt(TEXT, stream=False).text()


def stream():
    return [piece for piece in model.prompt(STREAM) if piece]


def tools():
    return model.chain(TOOLS, tools=[weather]).text()


def structured():
    return json.loads(model.prompt(STRUCTURED, schema=City).text())


def turns():
    talk = model.conversation()
    talk.prompt(TURNS[0]).text()
    return talk.prompt(TURNS[1]).text()


report(text=text, stream=stream, tools=tools, structured=structured, turns=turns)
