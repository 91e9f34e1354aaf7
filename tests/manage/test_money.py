"""`openresponses prices` and `usage`, on the local cloud: what an operator says is what is counted."""

import json
import time

import pytest

from tests.manage.conftest import Cloud
from tests.manage.test_providers import say, set_fake

pytestmark = pytest.mark.xdist_group("manage")


def test_what_an_operator_prices_is_counted_for_whoever_used_it(cloud: Cloud) -> None:
    set_fake(cloud, "sold", "--model", "echo", "--price", "echo=1000,2000")
    set_fake(cloud, "guessed")
    prices = cloud.run("prices", "sold/echo", "guessed/echo", "offline/demo")
    assert prices.rows()[1:] == [
        ["sold/echo", "1000", "1000", "1000", "2000", "the provider's document"],
        ["guessed/echo", "unknown", "-", "-", "-", "set it: providers set --price"],
        ["offline/demo", "0", "0", "0", "0", "the provider's document"],
    ]
    assert "sold/echo" in cloud.run("prices").out
    time.sleep(1.1)  # ConfigSeconds
    for model in ("sold/echo", "guessed/echo", "sold/echo"):
        say(cloud, model)
    found = {}
    until = time.monotonic() + 10
    while found.get("sold/echo", {}).get("requests") != 2 and time.monotonic() < until:
        read = json.loads(cloud.run("usage", "--json").out)
        found = {each["model"]: each for each in read["data"]}
    sold, guessed = found["sold/echo"], found["guessed/echo"]
    assert float(sold["usd"]) == (sold["input_tokens"] * 1000 + sold["output_tokens"] * 2000) / 1_000_000 > 0
    assert (guessed["usd"], guessed["unpriced"], sold["unpriced"]) == ("0", 1, 0)
    assert read["total"]["requests"] == sum(each["requests"] for each in read["data"])
    for by in ("key", "tenant", "day"):
        shown = cloud.run("usage", "--by", by)
        assert shown.rows()[-1][0] == "total"
    assert "a day, such as 2026-11-27" in cloud.run("usage", "--from", "soon").err
    assert "there is no provider" in cloud.run("prices", "gone/model").err
