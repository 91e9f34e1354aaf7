"""What a client is told that has a name, or an address, slightly wrong: as the OpenAI SDK shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import openai
import pytest

from openresponses.api.app import create_app
from openresponses.core.errors import NotFound
from openresponses.core.settings import Settings
from openresponses.entry.settings import OFFLINE, built_in
from openresponses.routing.catalog import Catalog
from openresponses.routing.router import Router, TenantModels
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles
from openresponses.toolbox.lambda_functions import LambdaTools
from tests.contract.authorized import authorized
from tests.contract.machine import House
from tests.unit.kit import Script
from tests.unit.test_routing import DONE, Scripted, provider
from tests.unit.test_sealing import PlainSeal

PARAMETERS = {
    "providers/openai": provider(models=["gpt-5", "gpt-5-mini"]),
    "providers/groq": provider(models=["llama"]),
    "providers/hidden": provider(models=["secret"]),
    "models/fast": json.dumps({"targets": ["groq/llama"]}),
    "models/lost": json.dumps({"targets": ["gone/model"]}),
    "tools/weather": json.dumps({"function": "weather"}),
    "tools/web_search": json.dumps({"backend": "exa", "key": "secret"}),
}


def models(allowed: Sequence[str] = (), default: str = "") -> TenantModels:
    catalog, scripted = Catalog(MemoryParameters(PARAMETERS), built_in(default)), Scripted({"openai": [DONE]})
    return TenantModels(
        Router(catalog, scripted.connect, Settings(default_provider=default), lambda: 0.0), PlainSeal(), allowed
    )


def sdk(allowed: Sequence[str] = (), default: str = "", base_url: str = "http://api/v1") -> openai.AsyncOpenAI:
    house = House(Script([]))
    parameters = MemoryParameters(PARAMETERS)
    house.ports = house.ports.__class__(
        **{
            **{name: getattr(house.ports, name) for name in house.ports.__slots__},
            "models": models(allowed, default),
            "tools": Toolbox([ToolFiles(), LambdaTools(parameters, functions=None)]),  # type: ignore[arg-type]
        }
    )
    new = house.new.__class__(house.ports, house.settings, "key", allowed)

    async def aclose() -> None:
        """Nothing is open."""

    app = create_app(lambda _: (new, house.stored), house.settings, aclose)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(authorized(app, tenant="default")))
    return openai.AsyncOpenAI(base_url=base_url, api_key="any", http_client=http, max_retries=0)  # type: ignore[arg-type]


async def said(client: openai.AsyncOpenAI, **request: Any) -> tuple[int, str]:
    with pytest.raises(openai.APIStatusError) as refused:
        await client.responses.create(**{"model": "openai/gpt-5", "input": "hello", **request})
    body: Any = refused.value.body
    assert body["message"] in refused.value.message
    return refused.value.status_code, body["message"]


MODELS: list[tuple[str, list[str], str, str]] = [
    ("opnai/gpt-5-mini", [], "", "There is no provider 'opnai' here: did you mean 'openai/gpt-5-mini'?"),
    ("opnai/unlisted", [], "", "There is no provider 'opnai' here: did you mean 'openai/unlisted'?"),
    (
        "mistral/large",
        ["openai/*"],
        "",
        "The model 'mistral/large' does not exist here: there is no provider 'mistral'. "
        "The models here are 'openai/gpt-5', 'openai/gpt-5-mini'",
    ),
    ("gpt-5", [], "", "'gpt-5' names no provider: say it as provider/model, for example 'openai/gpt-5'"),
    ("gpt-5", [], "offline", "'gpt-5' names no provider: say it as provider/model, for example 'openai/gpt-5'"),
    ("gpt-5", [], "gone", "'gpt-5' names no provider: say it as provider/model, for example 'openai/gpt-5'"),
    ("gpt-5", ["groq/*"], "", "'gpt-5' names no provider: say it as provider/model, for example 'groq/llama'"),
    ("fsat", [], "", "The model 'fsat' does not exist here: did you mean 'fast'?"),
    ("lost", [], "", "No target of 'lost' is configured here"),
    ("offline/demos", [], "offline", "The model 'offline/demos' does not exist here: did you mean 'offline/demo'?"),
    (
        "openai/gpt-5",
        ["mistral/*", "lost"],
        "",
        "This key may use 'mistral/*', 'lost' and nothing else, and none of that is served here",
    ),
    (
        "openai/gpt-4",
        ["openai/gpt-5*"],
        "",
        "The model 'openai/gpt-4' does not exist here: did you mean 'openai/gpt-5'?",
    ),
]


@pytest.mark.parametrize(("model", "allowed", "default", "message"), MODELS)
async def test_a_model_that_is_not_there_is_explained(
    model: str, allowed: list[str], default: str, message: str
) -> None:
    assert await said(sdk(allowed, default), model=model) == (404, message)


@pytest.mark.parametrize("model", ["{}/secret", "{}/other", "{}x/secret"])
async def test_nothing_tells_a_provider_that_the_key_may_not_use_from_none(model: str) -> None:
    told = list[str]()
    for head in ("hidden", "absent"):
        with pytest.raises(NotFound) as refused:
            await models(["openai/*", "groq/llama"])._router.targets(
                _asked(model.format(head)), ["openai/*", "groq/llama"]
            )
        told.append(refused.value.message.replace(head, "absent"))
    assert told[0] == told[1]
    assert "hidden" not in told[0]


def _asked(model: str) -> Any:
    from openresponses.schema.request import CreateResponse

    return CreateResponse.model_validate({"model": model, "input": "x"})


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (
            "serverless:calcuator",
            "This server has no tool 'serverless:calcuator': did you mean 'serverless:calculator'? "
            "It has serverless:calculator, serverless:clock, serverless:weather",
        ),
        (
            "serverless:oracle",
            "This server has no tool 'serverless:oracle'. "
            "It has serverless:calculator, serverless:clock, serverless:weather",
        ),
    ],
)
async def test_a_tool_that_is_not_there_is_told_of_those_that_are(tool: str, message: str) -> None:
    assert await said(sdk(), tools=[{"type": tool}]) == (400, message)


END = "A base URL ends with /v1, once, and without what comes after it: https://…/v1"


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("http://api", f"POST /responses: did you mean /v1/responses? {END}"),
        ("http://api/v1/v1", f"POST /v1/v1/responses: did you mean /v1/responses? {END}"),
        ("http://api/v1/responses", f"POST /v1/responses/responses: did you mean /v1/responses? {END}"),
        ("http://api/elsewhere", "POST /elsewhere/responses: there is nothing here"),
    ],
)
async def test_a_base_url_that_is_not_right_is_told_how_it_ends(base_url: str, message: str) -> None:
    assert await said(sdk(base_url=base_url)) == (404, message)


@pytest.mark.parametrize("base_url", ["http://api/v1", "http://api"])
async def test_a_client_of_chat_completions_is_told_of_the_other_api(base_url: str) -> None:
    with pytest.raises(
        openai.NotFoundError, match="this server has no Chat Completions, but the Responses API"
    ) as told:
        await sdk(base_url=base_url).chat.completions.create(model="fast", messages=[{"role": "user", "content": "x"}])
    assert "POST /v1/responses; /docs has the whole of it" in str(told.value)


def test_the_offline_provider_is_only_there_where_it_is_the_default() -> None:
    assert (list(built_in("offline")), list(built_in("openai"))) == ([OFFLINE], [])
