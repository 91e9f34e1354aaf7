"""Whatever a vendor sends: no exception escapes that is not ours, and what clients read is well formed."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from openresponses.api.sse import frame
from openresponses.core.errors import KitError
from openresponses.core.ports import Provider
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.responses.create import NewResponses
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.routing.router import Router, TenantModels
from openresponses.schema.events import StreamEvent
from openresponses.schema.request import CreateResponse
from openresponses.schema.response import Response
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.transport.links import Request
from tests.openresponses_schema import check_event, check_response
from tests.recordings.asking import model_of, provider_of, request_of
from tests.recordings.mutations import Mutation, mutation
from tests.recordings.recordings import DIALECTS, Json, found
from tests.recordings.summary import COUNTED, LEFT_OUT
from tests.stream_checker import check_stream
from tests.sweeps import Sweep
from tests.unit.kit import Tools, ports_of

pytestmark = pytest.mark.skipif(not found(), reason=LEFT_OUT)
ALL, SAMPLE = 4000, 60
"""Streams of each dialect, and those of a plain run."""
SECONDS = 20.0
"""What one stream may take: none takes a hundredth of it."""


class Bytes:
    """Answers every request with `chunks`."""

    chunks: list[bytes]

    def __init__(self) -> None:
        self.status, self.headers = 200, dict[str, str]()

    async def send(self, request: Request, until: float) -> Bytes:
        return self

    async def read(self, until: float) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""

    def done(self) -> None: ...

    def close(self) -> None: ...


class Tried:
    """One deployment for all streams of a dialect. `ended` counts how their responses ended."""

    def __init__(self, dialect: str) -> None:
        self._network = Bytes()
        self._providers = dict[str, str]()

        def connect(settings: ProviderSettings) -> Provider:
            return import_module(f"openresponses.dialects.{dialect}").connect(settings, self._network)

        router = Router(Catalog(MemoryParameters(self._providers)), connect, Settings(), time.monotonic)
        models = TenantModels(router, AeadSeal(of_this_process(), "default"))
        self._new = NewResponses(ports_of(models, Tools()), Settings())
        self.ended = Counter[str]()

    async def stream(self, tried: Mutation) -> None:
        """Raises what escapes, and AssertionError for what is not well formed."""
        recording, log = tried.recording, list[bytes]()
        name = f"r{abs(hash(recording.name))}"
        self._providers[f"providers/{name}"] = json.dumps(provider_of(recording))
        self._network.chunks = [*tried.chunks]
        asked = {"model": f"{name}/{model_of(recording)}", "input": "Go on", "stream": True, "store": False}
        run, record = await self._new.accept(CreateResponse.model_validate(asked | request_of(recording)))

        async def sink(event: StreamEvent) -> None:
            log.append(frame(event, "open_responses", obfuscate=False))

        try:
            async with asyncio.timeout(SECONDS):
                await self._new.respond(run, record, sink, seconds=None, committed=lambda: len(log) > 2)
        except KitError as error:
            assert len(log) <= 2, "the client saw a response that has no end"
            error.message.encode()
            self.ended["refused"] += 1
            return
        events: list[Json] = [json.loads(each.partition(b"data: ")[2], parse_constant=_none) for each in log]
        final = check_stream(events)
        for event in events:
            _check(event)
        _check(final, check_response)
        assert Response.model_validate_json(run.response.model_dump_json()) == run.response, "it can't be read again"
        self.ended[final["status"]] += 1


def _none(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


_checked = set[str]()


def _check(value: Json, check: Callable[[Json], None] = check_event) -> None:
    """Each shape once, since the schema is slow: `delta` and `text` may say anything."""
    shape = json.dumps(_shape(value))
    if shape not in _checked:
        check(_known(value))
        _checked.add(shape)


def _known(value: Any) -> Any:
    """`value` with a citation of a file for each annotation of a type of the vendor's own, which is kept as it came."""
    match value:
        case list():
            return [_known(each) for each in value]
        case {"annotations": list(annotations)}:
            return {**value, "annotations": [_KNOWN if _is_own(each) else each for each in annotations]}
        case {"annotation": annotation} if _is_own(annotation):
            return {**value, "annotation": _KNOWN}
        case dict() if str(value.get("id")).startswith("ext_"):
            return value
        case dict():
            return {name: _known(each) for name, each in value.items()}
        case _:
            return value


_KNOWN = {"type": "url_citation", "url": "", "title": "", "start_index": 0, "end_index": 0}


def _is_own(annotation: Json) -> bool:
    return annotation["type"] not in ("url_citation", "file_citation", "container_file_citation", "file_path")


def _shape(value: Any) -> Any:
    match value:
        case dict():
            return {name: each if name in _WORDS else _shape(each) for name, each in value.items()}
        case list():
            return [each for n, each in enumerate(map(_shape, value)) if n < 1 or each != value[n - 1]]
        case str():
            return "s" if value else ""
        case int() | float() if not isinstance(value, bool):
            return (type(value).__name__, value < 0)
        case _:
            return value


_WORDS = {"type", "status", "role", "phase", "reason", "object"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.timeout(600)
async def test_no_stream_of_a_provider_can_hurt(
    dialect: str, sweep: Sweep, record_property: Callable[[str, object], None]
) -> None:
    tried, wrong = Tried(dialect), list[str]()
    numbers = sweep.sample(range(ALL), SAMPLE)
    for number in numbers:
        one = mutation(dialect, number)
        try:
            await tried.stream(one)
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            wrong.append(f"{number} of {one.recording.name} ({one.what}): {type(error).__name__}: {str(error)[:300]}")
    record_property(COUNTED, (f"{dialect}, mutated", len(numbers) - len(wrong), len(numbers)))
    assert not wrong, f"{len(wrong)} of {len(numbers)}:\n" + "\n".join(wrong[:40])
    assert tried.ended["completed"], f"no stream of {tried.ended} came to its end"
