"""The official suite's 17 cases, through the Lambda path: one by one, and all at once, as it runs them."""

import asyncio

import pytest

from tests.e2e.conftest import Endpoint
from tests.e2e.official_cases import CASES, Server
from tests.fakes.server import dialects, wire_of

MODELS = {"offline": "offline/demo", **{name: f"{name}/{wire_of(name).model}!willing" for name in dialects()}}


def test_there_are_17() -> None:
    assert len(CASES) == 17


@pytest.mark.parametrize("name", CASES)
async def test_a_case_passes(cloud: Endpoint, name: str) -> None:
    await CASES[name](Server(cloud.base_url, cloud.api_key, MODELS["offline"]))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
async def test_all_cases_pass_at_once_and_again(cloud: Endpoint, model: str) -> None:
    server = Server(cloud.base_url, cloud.api_key, model)
    for _ in range(2):
        results = await asyncio.gather(*(case(server) for case in CASES.values()), return_exceptions=True)
        failed = {name: result for name, result in zip(CASES, results, strict=True) if result is not None}
        assert failed == {}
