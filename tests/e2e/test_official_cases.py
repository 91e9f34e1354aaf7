"""The official suite's 17 cases, through the Lambda path: one by one, and all at once, as it runs them."""

import asyncio

import pytest

from tests.e2e.conftest import Endpoint
from tests.e2e.official_cases import CASES, Server
from tests.fakes.server import dialects, wire_of

MODELS = {"offline": "offline/demo", **{name: f"{name}/{wire_of(name).model}!willing" for name in dialects()}}

PENDING = {name for name in CASES if "compact" in name}
"""Until the server has compaction."""


def test_there_are_17() -> None:
    assert len(CASES) == 17


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xfail if name in PENDING else ()) for name in CASES]
)
async def test_a_case_passes(cloud: Endpoint, name: str) -> None:
    await CASES[name](Server(cloud.base_url, cloud.api_key, MODELS["offline"]))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
async def test_all_cases_pass_at_once_and_again(cloud: Endpoint, model: str) -> None:
    server = Server(cloud.base_url, cloud.api_key, model)
    cases = {name: case for name, case in CASES.items() if name not in PENDING}
    for _ in range(2):
        results = await asyncio.gather(*(case(server) for case in cases.values()), return_exceptions=True)
        failed = {name: result for name, result in zip(cases, results, strict=True) if result is not None}
        assert failed == {}
