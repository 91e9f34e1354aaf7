"""What a sweep tries in a plain run, and in a full one."""

import random

import pytest

from tests.sweeps import Sweep

POINTS = range(100)


def test_a_sample_is_the_seeds_own_and_in_order() -> None:
    one, again, other = (Sweep(False, random.Random(seed)).sample(POINTS, 10) for seed in (1, 1, 2))
    assert one == again != other
    assert one == sorted({*one} & {*POINTS})
    assert len(one) == 10


@pytest.mark.parametrize(("count", "size"), [(100, 10), (100, 7), (12, 5), (11, 10), (3, 1)])
def test_a_sample_has_one_of_each_stretch(count: int, size: int) -> None:
    drawn = [Sweep(False, random.Random(seed)).sample(range(count), size) for seed in range(200)]
    assert {len({*each}) for each in drawn} == {size}
    stretches = [{*each} for each in zip(*drawn, strict=True)]
    assert [point for stretch in stretches for point in sorted(stretch)] == [*range(count)], "one is never drawn"
    assert {len(stretch) for stretch in stretches} <= {count // size, -(-count // size)}


def test_a_full_sweep_has_every_point() -> None:
    assert Sweep(True, random.Random(1)).sample(POINTS, 10) == [*POINTS]


def test_there_may_be_fewer_points_than_a_sample_has() -> None:
    assert Sweep(False, random.Random(1)).sample([3, 1], 10) == [3, 1]
