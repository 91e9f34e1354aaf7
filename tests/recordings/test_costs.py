"""What each recorded turn cost: as genai-prices reads the vendor's own counts, and as vendors that bill in the stream
say it. What is recorded is of its day, and is priced by today's prices here and there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from openresponses.prices.published import load
from tests.conversations import user
from tests.recordings.asking import model_of, provider_of, request_of
from tests.recordings.recordings import DIALECTS, Json, Recording, found, recordings
from tests.recordings.replay import replaying
from tests.recordings.summary import COUNTED, LEFT_OUT

pytestmark = pytest.mark.skipif(not found(), reason=LEFT_OUT)
MANTLE = "bedrock-mantle"
"""Bedrock's second address, which genai-prices does not know as one of AWS."""


def told(recording: Recording) -> list[Json]:
    """The objects of a stream."""
    if recording.dialect == "bedrock":
        buffer = EventStreamBuffer()
        buffer.add_data(recording.body)
        return [
            {event.headers[":event-type"]: json.loads(event.payload)}
            for event in buffer
            if ":event-type" in event.headers
        ]
    lines = re.findall(r"^data: ?(\{.*)$", recording.body.decode(), re.MULTILINE)
    return list(_objects(lines))


def _objects(lines: list[str]) -> Iterator[Json]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:  # of a recording that is damaged
            continue


def answer_of(recording: Recording) -> Json | None:
    """The last that a vendor told of the tokens, in the shape of an answer that isn't streamed."""
    objects, used = told(recording), dict[str, Any]()
    for each in objects:
        match recording.dialect:
            case "anthropic":
                counts = each.get("usage") or each.get("message", {}).get("usage") or {}
                used |= {name: value for name, value in counts.items() if value is not None}
            case "bedrock":
                used = each.get("metadata", {}).get("usage") or used
            case "gemini":
                used = each.get("usageMetadata") or used
            case "openai_responses":
                used = (each.get("response") or {}).get("usage") or used
            case _:
                used = each.get("usage") or (each.get("x_groq") or {}).get("usage") or used
    return {"usageMetadata" if recording.dialect == "gemini" else "usage": used} if used else None


READERS = {
    "anthropic": ("anthropic", "default"),
    "bedrock": ("aws", "default"),
    "chat_completions": ("openai", "chat"),
    "gemini": ("google", "default"),
    "openai_responses": ("openai", "responses"),
}
"""Who made the wire, and what genai-prices calls it."""
TOKENS = {"input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "output_reasoning_tokens"}


def tier_of(recording: Recording) -> str:
    """The last word of the vendor's: it repeats the client's at first."""
    words = re.findall(rb'"(?:service_tier|serviceTier|trafficType)": ?"(\w+)"', recording.body)
    return words[-1].decode().lower().removeprefix("on_demand_") if words else "default"


def judged(recording: Recording) -> Decimal | None:
    """What genai-prices makes of the vendor's own counts. None where it knows no price, or the turn had no counts."""
    snapshot, url = load(), provider_of(recording)["base_url"]
    try:
        provider, model = snapshot.find_provider_model(
            model_of(recording), None, "aws" if MANTLE in url else None, None if MANTLE in url else url
        )
    except LookupError:
        return None
    answer = answer_of(recording)
    if answer is None:
        return None
    name, wire = READERS[recording.dialect]
    reader = next(each for each in snapshot.providers if each.id == name)
    _, usage = reader.extract_usage(answer, api_flavor=wire)
    for other in [each for each in vars(usage) if each not in TOKENS]:  # a cost is of tokens, whatever they stand for
        setattr(usage, other, None)
    terms = {"service_tier": tier_of(recording)}
    if terms["service_tier"] in ("flex", "priority") and not any(
        terms == each.when for each in model.price_variants or ()
    ):
        return None  # it would give the standard price
    price = model.calc_price(usage, provider, price_context=terms)
    return price.total_price if vars(price.model_price) else None  # no rate at all is no price: it isn't nothing


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_recorded_turn_costs_what_its_vendors_counts_cost(dialect: str, record_property: Any) -> None:
    rows, wrong, priced = recordings(dialect), list[str](), 0
    async with replaying(rows) as replay:
        for number, recording in enumerate(rows):
            response = await replay.ask(number, stream=True, input=[user("Go on")], **request_of(recording))
            if "output" not in response or response["status"] == "failed":
                continue
            cost, expected = response["serverless:cost"], judged(recording)
            priced += expected is not None
            if cost["usd"] == "unknown" or expected is None:
                right = (cost["usd"] == "unknown") is (expected is None)
            else:
                parts = sum(Decimal(cost[part]) for part in ("input", "cached", "output"))
                right = parts == Decimal(cost["usd"]) and 0 <= parts - expected < Decimal("3e-12")
            if not right:
                wrong.append(
                    f"{recording.name}, {model_of(recording)}: told {cost}, expected {expected}, {answer_of(recording)}"
                )
    record_property(COUNTED, (f"{dialect}, priced", len(rows) - len(wrong), len(rows)))
    assert not wrong, "\n".join(wrong)
    assert priced


BILLED = ("openai/o3", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.6")
"""Of those that were asked for no search, whose price is not of tokens."""


async def test_a_turn_costs_what_openrouter_billed_for_it() -> None:
    """It says so itself, in the last chunk: `usage.cost` (openrouter.ai/docs/use-cases/usage-accounting)."""
    rows = [
        each for each in recordings("chat_completions") if each.host == "openrouter.ai" and model_of(each) in BILLED
    ]
    bills = dict[str, tuple[Decimal, Decimal]]()
    async with replaying(rows) as replay:
        for number, recording in enumerate(rows):
            response = await replay.ask(number, stream=True, input=[user("Go on")], **request_of(recording))
            billed = answer_of(recording)
            assert billed is not None
            bills[model_of(recording)] = (
                Decimal(response["serverless:cost"]["usd"]),
                Decimal(str(billed["usage"]["cost"])),
            )
    assert set(bills) == {*BILLED}
    assert all(told == billed for told, billed in bills.values()), bills
