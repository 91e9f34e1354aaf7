"""Tell the weather."""

from typing import Any


def handler(event: dict[str, Any], context: object) -> str:
    return f"It rains in {event['arguments']['city']}."
