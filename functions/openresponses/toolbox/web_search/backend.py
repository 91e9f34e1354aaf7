"""What a search service must tell of its wire. Each service has a module of its own, and no other knows its fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import JsonValue

from ...schema.base import JsonObject


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a model looks for. `characters` is how much text of each of `count` results it reads.

    Results are from `domains` alone, if there are any. `country` has two capital letters.
    """

    query: str
    count: int
    characters: int
    domains: tuple[str, ...] = ()
    country: str = ""
    region: str = ""
    city: str = ""
    timezone: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to a service. `path` is below its base URL. `body` is sent as JSON."""

    method: Literal["GET", "POST"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: JsonObject | None = None


class Found(NamedTuple):
    url: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Backend:
    """`ask` takes what is wanted, and the key. `found` raises LookupError, TypeError or ValueError for an answer that
    is not the service's. `why` is the service's own word for a failure, empty if there is none.
    """

    title: str
    base_url: str
    ask: Callable[[Wanted, str], Asked]
    found: Callable[[JsonObject, Wanted], list[Found]]
    why: Callable[[JsonObject], object]


def results_in(answer: JsonValue) -> list[JsonObject]:
    """Raises TypeError for what is no list of objects."""
    if not isinstance(answer, list):
        raise TypeError("no list of results")
    return [each for each in answer if isinstance(each, dict)]


def text_of(result: JsonObject, name: str) -> str:
    value = result.get(name)
    return value if isinstance(value, str) else ""


def object_of(value: JsonValue) -> JsonObject:
    """The object that it is; an empty one if it is none."""
    return value if isinstance(value, dict) else {}
