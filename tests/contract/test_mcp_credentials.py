"""The credentials of an MCP server that a provider asks: in each turn for it, and nowhere else, in all ways."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderError, ProviderRejected, RequestError
from openresponses.core.settings import ProviderSettings, Settings
from openresponses.core.turn import Turn, turn_of
from openresponses.dialects.openai_responses import connect
from openresponses.responses.create import NewResponses
from openresponses.responses.offering import offered_tools
from openresponses.responses.stored import StoredResponses
from openresponses.routing.catalog import Catalog
from openresponses.routing.router import Router, TenantModels
from openresponses.routing.sealing import opened, with_sealed_credentials
from openresponses.schema.request import CreateResponse
from openresponses.schema.tools import UpstreamTool
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.storage.memory.shelf import Shelf
from openresponses.storage.memory.storage import memory_storage
from tests.contract.compacting import seal
from tests.contract.machine import House, Killed
from tests.contract.storage_suite import AwsBackend, opened_aws
from tests.fakes.network import Answered
from tests.unit.kit import Json, Tools, new_run, usage

SECRETS = ("planted-path", "planted-query", "planted-header", "planted-token")
SERVER: Json = {
    "type": "mcp",
    "server_label": "docs",
    "server_url": "https://mcp.test/planted-path?key=planted-query",
    "headers": {"x-key": "planted-header"},
    "authorization": "planted-token",
    "require_approval": "never",
}


@pytest.fixture
def backend() -> Iterator[AwsBackend]:
    with opened_aws("moto") as backend:
        yield backend


class Upstream:
    """Does one thing of `plan` a turn, the last one again and again, and looks meanwhile at what is at rest."""

    def __init__(self, backend: AwsBackend, plan: list[str]) -> None:
        self._backend, self._plan = backend, plan
        self.told: list[Json] = []
        self.seen: list[str] = []

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        (server,) = turn.upstream_tools
        self.told.append(server.model_dump(mode="json"))
        doing = self._plan.pop(0) if len(self._plan) > 1 else self._plan[0]
        if doing == "refuse":
            raise ProviderRejected("No.")
        yield d.Text(0, "Let me see. ")
        self.seen.append(at_rest(self._backend))
        match doing:
            case "die":
                raise Killed
            case "call":
                yield d.ToolCall(1, "{}", "", "calculator")
                yield usage(1)
                yield d.Finish("stop")
            case "say":
                yield d.Text(0, "Done.")
                yield usage(1)
                yield d.Finish("stop")
            case _:
                raise ProviderRejected("No more.")

    async def aclose(self) -> None: ...


def at_rest(backend: AwsBackend) -> str:
    """All that is in the table and in the bucket, packed or not."""
    return backend.at_rest() + str(backend.items()) + str(backend.objects())


def runs(*_: object) -> frozenset[str]:
    return frozenset({"mcp"})


def house_of(backend: AwsBackend, upstream: Upstream, **settings: Any) -> House:
    catalog = Catalog(MemoryParameters({}), [ProviderSettings(name="p", dialect="x", models=("m",), retries=0)])
    ours = Settings(default_provider="p", retry_seconds=0)
    models = TenantModels(Router(catalog, lambda _: upstream, ours, lambda: 0.0, runs=runs), seal("tenant"))
    house = House(models, **settings)
    storage = replace(backend.storage(), launcher=memory_storage(Shelf(), house._start).launcher)
    house.ports = replace(house.ports, storage=storage)
    house.new, house.stored = NewResponses(house.ports, house.settings), StoredResponses(house.ports)
    return house


CALCULATOR = {"type": "serverless:calculator"}
WAYS: dict[str, tuple[list[str], Json, Json]] = {
    "inline": (["call", "say"], {}, {}),
    "streamed": (["call", "say"], {"stream": True}, {}),
    "in the background": (["call", "say"], {"background": True}, {}),
    "handed off": (["call", "call", "say"], {}, {"inline_turns": 1}),
    "after a worker's death": (["call", "die", "say"], {"background": True}, {}),
    "after two deaths": (["die", "call", "die", "say"], {"background": True}, {}),
    "refused": (["refuse"], {"background": True}, {}),
    "failed in the middle": (["call", "fail"], {"background": True}, {}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_each_turn_has_the_credentials_and_nothing_at_rest_has(way: str, backend: AwsBackend) -> None:
    plan, asked, settings = WAYS[way]
    upstream = Upstream(backend, [*plan])
    house = house_of(backend, upstream, **settings)
    response, events = await house.create(tools=[SERVER, CALCULATOR], **asked)
    await house.idle()
    assert upstream.told == [SERVER] * max(len(plan), len(upstream.told))
    over = await house.stored.retrieve(response["id"])
    log = await house.events(response["id"])
    found = [*upstream.seen, at_rest(backend), json.dumps([response, events, log]), over.model_dump_json()]
    assert [(secret, text) for text in found for secret in SECRETS if secret in text] == []
    assert any('"sealed":"or1.' in text for text in found) or way == "refused"
    assert "mcp.test" in found[-1]  # or else the search would prove nothing


async def test_what_is_sealed_opens_for_its_label_and_tenant_alone() -> None:
    request = CreateResponse.model_validate({"model": "m", "input": "x", "tools": [SERVER]})
    (offered,) = (await offered_tools(request, Tools(), upstream=["mcp"])).tools
    run = new_run()
    run.tools = [await with_sealed_credentials(seal("acme"), offered)]
    assert run.tools[0].parameters
    assert set(run.tools[0].parameters) == {"type", "server_label", "require_approval", "sealed"}
    turn = await opened(seal("acme"), turn_of(run, "m"), "p/m")
    assert [tool.model_dump(mode="json") for tool in turn.upstream_tools] == [SERVER]
    run.tools[0].parameters["server_label"] = "other"
    for tenant in ("acme", "other"):
        with pytest.raises(RequestError, match="can't be read any more"):
            await opened(seal(tenant), turn_of(run, "m"), "p/m")


async def test_a_client_s_own_field_of_that_name_is_nothing_that_was_sealed() -> None:
    request = CreateResponse.model_validate({"model": "m", "input": "x", "tools": [{**SERVER, "sealed": "or1.x"}]})
    (offered,) = (await offered_tools(request, Tools(), upstream=["mcp"])).tools
    kept = await with_sealed_credentials(seal(), offered)
    assert kept.parameters
    assert kept.parameters["sealed"] != "or1.x"
    bare = CreateResponse.model_validate(
        {
            "model": "m",
            "input": "x",
            "tools": [{"type": "mcp", "server_label": "l", "connector_id": "c", "sealed": "or1.x"}],
        }
    )
    (offered,) = (await offered_tools(bare, Tools(), upstream=["mcp"])).tools
    assert (await with_sealed_credentials(seal(), offered)).parameters == {
        "type": "mcp",
        "server_label": "l",
        "connector_id": "c",
    }


QUOTED = f"Bad tool: {json.dumps(SERVER)} planted-token planted-header"
ANSWERS: dict[str, httpx2.Response] = {
    "a refusal": httpx2.Response(400, json={"error": {"message": QUOTED}}),
    "a failed dependency": httpx2.Response(424, json={"error": {"message": QUOTED, "code": QUOTED}}),
    "an error in the stream": httpx2.Response(
        200,
        headers={"content-type": "text/event-stream"},
        text=f"data: {json.dumps({'type': 'error', 'error': {'message': QUOTED, 'code': 'x'}})}\n\n",
    ),
    "a response that failed": httpx2.Response(
        200,
        headers={"content-type": "text/event-stream"},
        text="data: "
        + json.dumps({"type": "response.failed", "response": {"error": {"code": "invalid_prompt", "message": QUOTED}}})
        + "\n\n",
    ),
    "an error in place of a stream": httpx2.Response(200, json={"error": {"message": QUOTED}}),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a_provider_that_quotes_them_is_not_quoted(answer: httpx2.Response) -> None:
    settings = ProviderSettings(
        name="p",
        dialect="openai_responses",
        base_url="http://vendor.test/v1",
        api_key="planted-key",
        options={"upstream_tools": ["mcp"]},
        retries=0,
    )
    provider = connect(settings, Answered(lambda _: answer))
    run = new_run()
    run.request.tools = None
    turn = replace(turn_of(run, "m"), upstream_tools=(UpstreamTool.model_validate(SERVER),))
    with pytest.raises(ProviderError) as caught:
        await anext(provider.stream(turn))
    await provider.aclose()
    assert [secret for secret in SECRETS if secret in caught.value.message] == []
    assert "Bad tool" in caught.value.message or not isinstance(caught.value, ProviderRejected)
