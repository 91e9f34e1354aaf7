"""The whole server, over a model that costs next to nothing: `max_output_tokens` times the same word."""

import secrets
import time
from collections.abc import AsyncGenerator

from openresponses.api.app import create_app
from openresponses.core import deltas as d
from openresponses.core.ports import Ports, Provider
from openresponses.core.service import Service
from openresponses.core.settings import Settings
from openresponses.core.stored import Stored
from openresponses.core.turn import Turn
from openresponses.tools import Toolbox

from tests.bench.sandbox import API_KEY

WORD = d.Text(0, "word ")


class Cheap:
    """One model, which is its own provider."""

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        for _ in range(turn.max_output_tokens or 1):
            yield WORD
        yield d.Finish("stop")

    async def aclose(self) -> None: ...

    def resolve(self, model: str) -> tuple[Provider, str]:
        return self, model

    def listed(self) -> list[str]:
        return []


def build():
    settings = Settings(providers={}, api_keys=(API_KEY,))
    ports = Ports(models=Cheap(), tools=Toolbox(), now=time.time, new_id=lambda: secrets.token_hex(16))
    return create_app(Service(ports, settings), Stored(None, ports.now), settings, Cheap().aclose)


app = build()
