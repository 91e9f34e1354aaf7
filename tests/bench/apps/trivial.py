"""Functions that return at once, for the same state machine: what is left is what the executor itself costs.

A response id ends in "-<turns>": each turn but the last asks for one tool.
"""

from __future__ import annotations

from typing import Any

_taken: dict[str, int] = {}


def turn(event: dict[str, Any], context: object) -> dict[str, Any]:
    response_id = event["response_id"]
    taken = _taken[response_id] = _taken.get(response_id, 0) + 1
    over = taken >= int(response_id.rpartition("-")[2])
    step, calls = ("stop", list[str]()) if over else ("act", [f"call-{taken}"])
    kept = {name: event[name] for name in ("tenant", "response_id", "generation")}
    return {**kept, "step": step, "calls": calls}


def tool(event: dict[str, Any], context: object) -> None: ...


def settle(event: dict[str, Any], context: object) -> None: ...
