"""Reading an expanded template."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


def of_type(resources: dict[str, Json], kind: str) -> dict[str, Json]:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def statements(resources: dict[str, Json], role: str) -> Iterator[Json]:
    """Every statement of a role's inline policies."""
    for policy in resources[role]["Properties"].get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def grants(resources: dict[str, Json], role: str) -> dict[str, str]:
    """What a role allows: each action, and the one resource, as text, that it is allowed on."""
    found: dict[str, str] = {}
    for statement in statements(resources, role):
        for action in statement["Action"]:
            assert action not in found, f"{role} allows {action} twice"
            found[action] = told(statement["Resource"])
    return found


def told(value: object) -> str:
    """A resource as text: an attribute as `Resource.Attribute`, a substitution as its pattern."""
    match value:
        case {"Fn::GetAtt": [logical, attribute]}:
            return f"{logical}.{attribute}"
        case {"Fn::Sub": str(pattern) | [str(pattern), dict()]}:
            return pattern
        case list():
            return ", ".join(map(told, value))
        case _:
            return str(value)
