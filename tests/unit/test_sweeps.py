"""What a sweep tries in a plain run, and in a full one."""

import random

from tests.sweeps import Sweep

POINTS = range(100)


def test_a_sample_is_the_seeds_own_and_in_order() -> None:
    one, again, other = (Sweep(False, random.Random(seed)).sample(POINTS, 10) for seed in (1, 1, 2))
    assert one == again != other
    assert one == sorted({*one} & {*POINTS})
    assert len(one) == 10


def test_a_full_sweep_has_every_point() -> None:
    assert Sweep(True, random.Random(1)).sample(POINTS, 10) == [*POINTS]


def test_there_may_be_fewer_points_than_a_sample_has() -> None:
    assert Sweep(False, random.Random(1)).sample([3, 1], 10) == [3, 1]
