"""Process rewards: aggregation over steps, and the Monte Carlo value of a node."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.search.rewards import GROWTH, REPAIRS, Aggregate, aggregate, monte_carlo_value

REWARDS = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (Aggregate.MIN, 0.25),
        (Aggregate.PRODUCT, 0.1),
        (Aggregate.MEAN, 0.6375),
        (Aggregate.LAST, 0.5),
    ],
)
def test_aggregates(how: Aggregate, expected: float) -> None:
    assert aggregate([0.8, 0.25, 1.0, 0.5], how) == pytest.approx(expected)


@given(rewards=REWARDS)
def test_order_between_the_aggregates(rewards: list[float]) -> None:
    values = {how: aggregate(rewards, how) for how in Aggregate}
    assert all(0 <= value <= 1 for value in values.values())
    assert values[Aggregate.PRODUCT] <= values[Aggregate.MIN] <= values[Aggregate.MEAN] + 1e-12
    assert min(rewards) <= values[Aggregate.LAST] <= max(rewards)
    assert aggregate([0.4], Aggregate.PRODUCT) == 0.4


def test_defaults() -> None:
    # by min, a chain of repairs could never outgrow a bad first attempt
    assert aggregate([0.0, 0.5, 0.9], REPAIRS) == 0.9
    # a program that grows is no better than its worst part
    assert aggregate([0.2, 1.0, 1.0], GROWTH) == 0.2


@pytest.mark.parametrize("how", Aggregate)
def test_chain_without_steps_is_refused(how: Aggregate) -> None:
    with pytest.raises(ValueError, match="at least one"):
        aggregate([], how)
    with pytest.raises(ValueError, match="at least one"):
        monte_carlo_value([])


@pytest.mark.parametrize("chance", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_monte_carlo_value_comes_near_the_true_rate(chance: float) -> None:
    lot = random.Random(f"{chance}")
    few = [monte_carlo_value([lot.random() < chance for _ in range(4)]) for _ in range(2_000)]
    many = [monte_carlo_value([lot.random() < chance for _ in range(64)]) for _ in range(2_000)]
    assert sum(few) / len(few) == pytest.approx(chance, abs=0.02)  # unbiased, however few
    error = sum(abs(one - chance) for one in few), sum(abs(one - chance) for one in many)
    assert error[1] <= error[0] / 2
