"""What the script of a Python client shares with the others: what it is asked, and how it tells what came of it.

Knows no client. `cells.mjs` is its twin for JavaScript.
"""

import asyncio
import inspect
import json
import os
import traceback
from collections.abc import Callable
from typing import Any

BASE_URL = os.environ["OPENAI_BASE_URL"]
API_KEY = os.environ["OPENAI_API_KEY"]
MODEL = os.environ["CLIENT_MODEL"]
WEATHER = os.environ["CLIENT_WEATHER"]
"""What the tool returns. Nobody else knows it."""
FACT = os.environ.get("CLIENT_FACT", "")
"""What a model was told long ago, and has to know."""
TOLD = [
    {"role": "user", "content": "Think of a word."},
    {"role": "assistant", "content": f"It is {FACT}."},
]
ASK = "Which word?"
TEXT = "Say blue heron."
STREAM = "Count one two three."
TOOLS = "What is the weather?"
STRUCTURED = "Describe a city."
TURNS = ("My name is Ada.", "What is my name?")


def report(**cells: Callable[[], Any]) -> None:
    """Run each cell, and print one line of JSON for it: what it returned, or how it failed."""

    async def run() -> None:
        for name, cell in cells.items():
            try:
                value = cell()
                told = {"value": await value if inspect.isawaitable(value) else value}
            except Exception as error:
                traceback.print_exc()
                told = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps({"cell": name, **told}), flush=True)

    asyncio.run(run())
