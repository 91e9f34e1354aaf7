"""The whole server, over a model that costs next to nothing: `max_output_tokens` times the same word."""

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager

from openresponses.api.access import Access
from openresponses.api.app import create_app
from openresponses.core import deltas as d
from openresponses.core.ports import Models, Ports, TurnStream
from openresponses.core.run import OfferedTool
from openresponses.core.settings import Settings
from openresponses.core.turn import Turn
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.schema.request import CreateResponse
from openresponses.telemetry import LoggedAccounts
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles

WORD = d.Text(0, "word ")


class Cheap:
    """One model, which is its own provider."""

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        for _ in range(turn.max_output_tokens or 1):
            yield WORD
        yield d.Finish("stop")

    async def aclose(self) -> None: ...

    async def admit(self, request: CreateResponse) -> None: ...

    async def sealed_tools(self, tools: Sequence[OfferedTool]) -> list[OfferedTool]:
        return [*tools]

    @asynccontextmanager
    async def ask(self, turn: Turn, served: str | None) -> AsyncGenerator[TurnStream, None]:
        async with aclosing(self.stream(turn)) as deltas:
            yield TurnStream("cheap/model", deltas)

    async def listed(self) -> list[str]:
        return []


def build(models: Models):
    """The server over `models`, without storage."""
    settings = Settings()
    ports = Ports(
        models=models,
        tools=Toolbox([ToolFiles()]),
        accounts=LoggedAccounts("default"),
        now=time.time,
        new_id=lambda: secrets.token_hex(16),
    )
    responses = NewResponses(ports, settings), StoredResponses(ports)
    return create_app(lambda access: responses, settings, Cheap().aclose, lambda request: Access("default"))


app = build(Cheap())
