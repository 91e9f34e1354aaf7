"""That the measurements work, in small. The goals are judged by a whole run, on a machine that does nothing else."""

import sys

import pytest

from tests.bench.figures import Figure, Machine, Samples, table
from tests.bench.measures import added_latency, cold_start, event_cost, first_byte, memory

GENEROUS = 4
"""How far above its goal a figure may be here: other tests run at the same time."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_nothing_costs_many_times_what_it_may():
    figures = [
        *await cold_start(1),
        *await first_byte(4),
        *await event_cost(1, events=300),
        *await added_latency(4),
        *await memory(4),
    ]
    judged = {figure.name: figure.value / figure.goal for figure in figures if figure.goal is not None}
    assert len(judged) == 5
    assert [name for name, share in judged.items() if not 0 < share <= GENEROUS] == []


def test_a_ratio_is_the_median_over_pairs_taken_in_turns():
    ours, baseline = Samples([2.0, 9.0, 30.0]), Samples([1.0, 3.0, 10.0])
    figure = Figure("it", "ms", ours, baseline, "that", goal=3)
    assert figure.value == 3
    assert figure.passed
    assert figure.document() == {
        "name": "it",
        "unit": "ms",
        "ours": {"median": 9.0, "p10": 2.0, "p90": 30.0, "n": 3},
        "baseline": {"what": "that", "median": 3.0, "p10": 1.0, "p90": 10.0, "n": 3},
        "value": 3.0,
        "kind": "ratio",
        "goal": 3,
        "passed": True,
    }
    assert "it        ms    9.00 (2.00-30.00)       3.00 (1.00-10.00) that  3.00x   <= 3x  pass" in table(
        Machine.here(), [figure]
    )
