"""A deployment whose models summarise and recall: what its conversations hold is to be read out of what is sent."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from openresponses.core import deltas as d
from openresponses.core.compaction import ASKS
from openresponses.core.errors import KitError
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.core.turn import Turn
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal
from openresponses.routing.router import Router, TenantModels
from openresponses.schema.items import Message
from openresponses.storage.memory.parameters import MemoryParameters
from tests.contract.machine import House
from tests.unit.kit import Json, usage

FACT = re.compile(r"fact-\w+")


def seal(tenant: str = "acme") -> AeadSeal:
    async def keys() -> Sequence[bytes]:
        return [b"k" * 32]

    return AeadSeal(keys, tenant)


def text_in(turn: Turn) -> str:
    return "\n".join(item.model_dump_json() for item in turn.items)


class Reader:
    """Summarises to the facts that it is shown, and answers with them. Calls `calculator` for `calls` turns first.

    `fails` are what it does in the place of summaries, one after the other.
    """

    def __init__(self, calls: int = 0, fails: Sequence[KitError | list[d.Delta]] = ()) -> None:
        self.asked: list[Turn] = []
        self.calls, self.fails = calls, list(fails)

    @property
    def summaries(self) -> list[Turn]:
        return [turn for turn in self.asked if turn.keeps is not None]

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        self.asked.append(turn)
        facts = " ".join(dict.fromkeys(FACT.findall(text_in(turn)))) or "nothing"
        if turn.keeps is not None:
            last = turn.items[-1]
            assert isinstance(last, Message)
            assert ASKS in last.model_dump(mode="json")["content"][0]["text"]
            assert not turn.tools
            for said in [self.fails.pop(0)] if self.fails else []:
                if isinstance(said, KitError):
                    yield d.Text(0, "half ")
                    raise said
                for delta in said:
                    yield delta
                return
            yield d.Reasoning("r", "hm")
            yield d.Text(0, f"Known: {facts}")
        elif self.calls and turn.tools:
            self.calls -= 1
            yield d.ToolCall(0, '{"x": "' + "word " * 100 + '"}', "", "calculator")
        else:
            yield d.Text(0, f"I know {facts}")
        yield usage(10)
        yield d.Finish("stop")

    async def aclose(self) -> None: ...


def models(reader: Reader, tenant: str = "acme", allowed: Sequence[str] = ()) -> TenantModels:
    def connect(_: ProviderSettings) -> Any:
        return reader

    offered = [ProviderSettings(name=name, dialect="x", models=("m", "n"), retries=0) for name in ("p", "q")]
    catalog = Catalog(MemoryParameters({}), offered)
    settings = Settings(default_provider="p", retry_seconds=0)
    return TenantModels(Router(catalog, connect, settings, lambda: 0.0), seal(tenant), allowed)


def house(reader: Reader, tenant: str = "acme", **settings: Any) -> House:
    return House(models(reader, tenant), **settings)


def said(role: str, text: str) -> Json:
    return {"type": "message", "role": role, "content": text}


def text_of(response: Json) -> str:
    return response["output"][-1]["content"][0]["text"]
