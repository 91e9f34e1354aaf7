"""One small request to a provider from this machine, by the code that the server would use."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from openresponses.core import deltas as d
from openresponses.core import errors as e
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.dialects import connect
from openresponses.schema.content import InputText
from openresponses.schema.items import Message
from openresponses.schema.request import CreateResponse

_PROMPT = "Say hello in five words."
_MAX_TOKENS = 512
"""Enough for a model that thinks first."""
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Trial:
    """`error` is empty where it answered. Seconds are to its first sign, and to its end."""

    first: float = 0.0
    total: float = 0.0
    words: str = ""
    error: str = ""
    mend: str = ""


async def attempt(settings: ProviderSettings, model: str, *, again: str) -> Trial:
    """Never raises an error of the provider: the Trial has it. `again` is the command that sets the provider again."""
    begun = time.monotonic()
    try:
        provider = connect(settings)
        try:
            return await _listen(provider.stream(_turn(model)), begun)
        finally:
            await provider.aclose()
    except (e.KitError, ValueError) as error:
        return Trial(error=str(error), mend=_mend(error, settings, again))


async def _listen(stream: AsyncGenerator[d.Delta, None], begun: float) -> Trial:
    """Raises KitError."""
    words, first, finished = "", 0.0, False
    async with aclosing(stream) as deltas:
        async for delta in deltas:
            first = first or time.monotonic() - begun
            match delta:
                case d.Text(text=text) | d.Refusal(text=text):
                    words += text
                case d.Finish():
                    finished = True
                case _:
                    pass
    if not finished:
        raise e.StreamViolation("The provider's stream ended before its answer did")
    said = " ".join(words.split())
    return Trial(first, time.monotonic() - begun, said if len(said) <= _SHOWN else said[: _SHOWN - 1] + "…")


def _turn(model: str) -> Turn:
    return Turn(
        model=model,
        items=(Message(role="user", content=[InputText(text=_PROMPT)]),),
        instructions=None,
        tools=(),
        tool_choice="none",
        must_call=None,
        max_output_tokens=_MAX_TOKENS,
        request=CreateResponse(model=model),
    )


def _mend(error: Exception, settings: ProviderSettings, again: str) -> str:
    match error:
        case e.ProviderMisconfigured() | ValueError():
            return f"correct its key or its address: {again}"
        case e.ProviderRejected():
            return "name a model that it has, with --model"
        case e.ProviderThrottled():
            return "wait a little, and try again"
        case e.ProviderUnavailable():
            return f"see whether {settings.base_url or 'it'} is up, and can be reached from here"
        case e.StreamViolation():
            return f"correct its address or its dialect: {again}"
        case _:
            return ""
