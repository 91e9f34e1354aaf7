"""Parameters as the functions read them: how long they are remembered, and what happens where SSM does not answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from openresponses.aws.clients import Aws, Refused
from openresponses.aws.parameters import SsmParameters
from openresponses.core.errors import RequestError, StorageUnavailable
from openresponses.core.ports import ToolOutput
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal, kept_in
from openresponses.routing.targets import targets_of
from openresponses.schema.base import JsonObject
from openresponses.schema.request import CreateResponse
from openresponses.schema.tools import HostedTool
from openresponses.toolbox.lambda_functions import LambdaTools
from openresponses_dev.local.services.credentials import Credentials
from openresponses_dev.local.template.intrinsics import REGION
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.parameters import write

FRESH_SECONDS = 60


class MovingAws(Aws):
    """Counts what it runs; `error` is raised in place of it."""

    def __init__(self) -> None:
        super().__init__(REGION)
        self.asked = 0
        self.error: Exception | None = None

    async def run(self, function: Callable[[], Any]) -> Any:
        self.asked += 1
        if self.error:
            raise self.error
        return await super().run(function)


class NoFunctions:
    async def invoke(self, function: str, payload: JsonObject) -> ToolOutput:
        raise AssertionError("nothing is called")


@dataclass
class Shop:
    """Parameters of a local Parameter Store, and the time that they live in."""

    ssm: Any
    aws: MovingAws
    time: float = 0.0

    early: float = 0.0

    def __post_init__(self) -> None:
        self.parameters = self.sandbox(self.aws)

    def sandbox(self, aws: Aws, **more: Any) -> SsmParameters:
        """Another one, which remembers nothing yet."""
        return SsmParameters(aws, "/kit/", lambda: self.time, seconds=FRESH_SECONDS, chance=lambda: self.early, **more)

    def put(self, name: str, value: str, kind: str = "String") -> None:
        self.ssm.put_parameter(Name=f"/kit/{name}", Value=value, Type=kind, Overwrite=True)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with mock_aws():
        yield Shop(boto3.client("ssm", region_name=REGION, **Credentials.new().for_boto3()), MovingAws())


async def test_a_parameter_is_asked_for_once_a_minute(shop: Shop) -> None:
    shop.put("tools/weather", "old")
    assert [await shop.parameters.get("tools/weather") for _ in range(3)] == ["old"] * 3
    shop.put("tools/weather", "new")
    shop.time = FRESH_SECONDS - 1
    assert (await shop.parameters.get("tools/weather"), shop.aws.asked) == ("old", 1)
    shop.time = FRESH_SECONDS
    assert (await shop.parameters.get("tools/weather"), shop.aws.asked) == ("new", 2)


async def test_that_there_is_no_parameter_is_remembered_as_well(shop: Shop) -> None:
    assert [await shop.parameters.get("tools/weather") for _ in range(3)] == [None] * 3
    assert shop.aws.asked == 1
    shop.put("tools/weather", "new")
    shop.time = FRESH_SECONDS
    assert await shop.parameters.get("tools/weather") == "new"


async def test_names_that_a_client_makes_up_cost_no_call_and_push_nothing_out(shop: Shop) -> None:
    shop.put("providers/p", '{"dialect": "chat_completions"}', "SecureString")
    catalog, tools = Catalog(shop.parameters), LambdaTools(shop.parameters, NoFunctions())
    for n in range(2_000):
        model = CreateResponse(model=f"made-up-{n}/model", input="hi")
        alias = CreateResponse(model=f"made-up-{n}", input="hi")
        order = CreateResponse.model_validate(
            {"model": "p/model", "input": "hi", "provider": {"order": [f"made-up-{n}/model"]}}
        )
        for request in (model, alias, order):
            with pytest.raises(RequestError):
                await targets_of(request, catalog, "default")
        assert await tools.offer(HostedTool(type=f"serverless:made-up-{n}")) is None
    assert await targets_of(CreateResponse(model="p/model", input="hi"), catalog, "default")
    assert shop.aws.asked == 3  # a listing of the providers, one of the aliases, one of the tools


async def test_a_new_parameter_is_seen_when_the_list_is_read_again(shop: Shop) -> None:
    assert await shop.parameters.get("providers/new") is None
    shop.put("providers/new", "text", "SecureString")
    shop.time = FRESH_SECONDS - 1
    assert (await shop.parameters.get("providers/new"), shop.aws.asked) == (None, 1)
    shop.time = FRESH_SECONDS
    assert (await shop.parameters.get("providers/new"), shop.aws.asked) == ("text", 2)


async def test_a_parameter_that_was_deleted_is_gone_when_the_list_is_read_again(shop: Shop) -> None:
    shop.put("providers/old", "text", "SecureString")
    assert await shop.parameters.get("providers/old") == "text"
    shop.ssm.delete_parameter(Name="/kit/providers/old")
    shop.time = FRESH_SECONDS
    assert await shop.parameters.get("providers/old") is None


async def test_sandboxes_that_began_together_do_not_read_again_together(shop: Shop) -> None:
    asked: list[int] = []
    for early in (0.0, 0.5, 1.0):
        shop.time, shop.early = 0, early
        aws = MovingAws()
        parameters = shop.sandbox(aws)
        for shop.time in range(FRESH_SECONDS + 1):
            await parameters.get("tools/weather")
            if aws.asked == 2:
                break
        asked.append(int(shop.time))
    assert asked == [60, 53, 45]


async def test_all_who_wait_for_a_list_share_one_reading_of_it(shop: Shop) -> None:
    shop.put("providers/p", "text", "SecureString")
    for shop.time in (0, FRESH_SECONDS):
        names = [f"providers/{name}" for name in ("p", "a", "b", "c", "d")]
        assert await asyncio.gather(*map(shop.parameters.get, names)) == ["text", None, None, None, None]
    assert shop.aws.asked == 2


async def test_whoever_gives_up_while_reading_leaves_it_to_the_next(shop: Shop) -> None:
    shop.put("providers/p", "text", "SecureString")
    first = asyncio.create_task(shop.parameters.get("providers/p"))
    second = asyncio.create_task(shop.parameters.get("providers/p"))
    while not shop.aws.asked:
        await asyncio.sleep(0)
    first.cancel()
    assert (await second, shop.aws.asked) == ("text", 2)


@pytest.mark.parametrize("error", [StorageUnavailable("down"), Refused("AccessDeniedException", "no", {})])
async def test_what_was_read_once_is_served_while_ssm_does_not_answer(shop: Shop, error: Exception) -> None:
    shop.put("tools/weather", "old")
    assert await shop.parameters.get("tools/weather") == "old"
    shop.aws.error, shop.time = error, 10 * FRESH_SECONDS
    assert [await shop.parameters.get("tools/weather") for _ in range(3)] == ["old"] * 3
    assert shop.aws.asked == 2
    with pytest.raises(StorageUnavailable, match="could not be read"):
        await shop.parameters.get("providers/another")


@pytest.mark.parametrize("known", [True, False])
async def test_ssm_is_asked_less_and_less_often_while_it_fails(shop: Shop, known: bool) -> None:
    if known:
        await shop.parameters.get("tools/weather")
    asked, started = shop.aws.asked, FRESH_SECONDS if known else 0
    shop.aws.error = StorageUnavailable("throttled")
    times: list[int] = []
    for seconds in range(200):
        shop.time = started + seconds
        if known:
            assert await shop.parameters.get("tools/weather") is None
        else:
            with pytest.raises(StorageUnavailable, match="could not be read"):
                await shop.parameters.get("tools/weather")
        if shop.aws.asked > asked:
            asked = shop.aws.asked
            times.append(seconds)
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    shop.aws.error = None
    shop.put("tools/weather", "new")
    shop.time += FRESH_SECONDS
    assert await shop.parameters.get("tools/weather") == "new"


async def test_a_secret_is_decrypted(shop: Shop) -> None:
    shop.put("providers/p", "secret", "SecureString")
    assert await shop.parameters.get("providers/p") == "secret"


async def test_something_else_is_done_once_while_the_first_value_is_on_its_way(shop: Shop) -> None:
    done: list[str] = []
    answered = threading.Event()

    def meanwhile() -> None:
        answered.wait(5)  # it holds nobody up but the first, who needs it
        done.append(threading.current_thread().name)

    class Answered(MovingAws):
        async def call(self, service: Any, operation: str, /, **parameters: object) -> dict[str, Any]:
            answer = await super().call(service, operation, **parameters)
            answered.set()
            return answer

    shop.put("providers/p", "text")
    parameters = shop.sandbox(Answered(), meanwhile=meanwhile)
    assert [await parameters.get(name) for name in ("providers/p", "providers/q")] == ["text", None]
    assert len(done) == 1
    assert done[0].startswith("aws")


async def test_a_folder_is_listed_in_pages_and_what_it_holds_is_then_known(shop: Shop) -> None:
    names = sorted(f"p{n}" for n in range(23))
    for name in names:
        shop.put(f"providers/{name}", f"text of {name}", "SecureString")
    shop.put("models/fast", "x")
    assert [await shop.parameters.names("providers") for _ in range(3)] == [names] * 3
    assert shop.aws.asked == 3  # pages of ten
    assert [await shop.parameters.get(f"providers/{name}") for name in names] == [f"text of {name}" for name in names]
    assert shop.aws.asked == 3
    assert await shop.parameters.names("nothing") == []


async def test_a_list_is_served_while_ssm_does_not_answer(shop: Shop) -> None:
    shop.put("models/fast", "x")
    assert await shop.parameters.names("models") == ["fast"]
    shop.aws.error, shop.time = StorageUnavailable("down"), FRESH_SECONDS
    assert await shop.parameters.names("models") == ["fast"]
    with pytest.raises(StorageUnavailable, match="could not be read"):
        await shop.parameters.names("providers")


async def test_a_parameter_is_made_once_whoever_comes_first(shop: Shop) -> None:
    other = shop.sandbox(MovingAws())
    assert await shop.parameters.get("key") is None
    assert await other.get("key") is None
    made = await asyncio.gather(shop.parameters.create("key", "a"), other.create("key", "b"))
    assert sorted(made) == [False, True]
    text = "a" if made[0] else "b"
    assert [await shop.parameters.get("key"), await other.get("key")] == [text, text]
    assert shop.ssm.get_parameter(Name="/kit/key")["Parameter"]["Type"] == "SecureString"


async def test_what_is_made_has_the_stacks_own_kms_key_if_there_is_one(shop: Shop) -> None:
    key = f"arn:aws:kms:{REGION}:123456789012:key/1"
    ours = SsmParameters(shop.aws, "/kit/", lambda: shop.time, seconds=FRESH_SECONDS, key=key)
    assert await ours.create("sealing-key", "a")
    assert await shop.parameters.create("another", "b")
    stack = Deployment(*["x"] * 7, "/kit", "x", "60", stack="x", key_arn=key, session=boto3.Session(region_name=REGION))
    for kind in ("providers", "models"):
        write(stack, kind, "one", "{}")
    write(replace(stack, key_arn=""), "providers", "two", "{}")
    found = shop.ssm.describe_parameters()["Parameters"]
    assert {each["Name"]: each.get("KeyId") for each in found} == {
        "/kit/sealing-key": key,
        "/kit/another": "alias/aws/ssm",
        "/kit/providers/one": key,
        "/kit/providers/two": "alias/aws/ssm",
        "/kit/models/one": None,
    }


async def test_sandboxes_that_begin_together_seal_with_one_key(shop: Shop) -> None:
    other = shop.sandbox(MovingAws())
    one, two = AeadSeal(kept_in(shop.parameters), "acme"), AeadSeal(kept_in(other), "acme")
    sealed = await asyncio.gather(one.seal("a/m", "state"), two.seal("a/m", "state"))
    assert [await one.open(sealed[1]), await two.open(sealed[0])] == [("a/m", "state")] * 2


async def test_a_key_that_may_not_be_made_is_told_as_an_error_to_try_again(shop: Shop) -> None:
    await shop.parameters.get("sealing-key")
    shop.aws.error = Refused("AccessDeniedException", "no", {})
    with pytest.raises(StorageUnavailable):
        await AeadSeal(kept_in(shop.parameters), "acme").seal("a/m", "state")
