"""What the log and the metrics say that a response cost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace

from openresponses.core.accounts import account_of
from openresponses.core.bill import PER_DOLLAR, Cost
from openresponses.telemetry import LoggedAccounts
from tests.unit.kit import new_run

COSTS = {"0.0123": Cost(input=PER_DOLLAR // 100, cached=3 * PER_DOLLAR // 10_000, output=2 * PER_DOLLAR // 1_000)}
TOLD = [(usd, cost) for usd, cost in (*COSTS.items(), ("0", Cost()), ("unknown", None))]


def log_each() -> None:
    account = account_of(new_run(), 3.0)
    for _, cost in TOLD:
        asyncio.run(LoggedAccounts("acme").record(replace(account, cost=cost)))


def test_a_cost_is_logged_exactly_and_one_that_is_unknown_is_counted_as_such() -> None:
    """In a process of its own, since the logger holds on to what was standard output when it was made."""
    code = f"from {__name__} import log_each; log_each()"
    environment = {**os.environ, "POWERTOOLS_METRICS_NAMESPACE": "openresponses"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    printed = iter([json.loads(line) for line in done.stdout.splitlines()])
    for usd, cost in TOLD:
        line, metrics = next(printed), next(printed)
        assert (line["message"], line["usd"]) == ("response", usd)
        names = {each["Name"] for each in metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        measured = {"Cost", "UnknownCost"} & names
        assert measured == ({"UnknownCost"} if cost is None else {"Cost"})
        assert metrics[measured.pop()] == [1.0 if cost is None else float(usd)]
