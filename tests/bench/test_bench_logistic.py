"""The fit of the shipped probabilities finds what made the cases, and says nothing without any."""

from __future__ import annotations

import math
import random

import pytest

from bench.logistic import fit, solved


def test_a_fit_finds_what_made_the_cases() -> None:
    draw = random.Random(1)
    cases = []
    for _ in range(5_000):
        signs = [draw.random() * 4, draw.gauss(0, 3), draw.random()]
        chance = 1 / (1 + math.exp(-(-1 + 1.5 * signs[0] - 0.5 * signs[1])))
        cases.append((signs, draw.random() < chance))
    bias, weights = fit(cases)
    assert bias == pytest.approx(-1, abs=0.2)
    assert weights == pytest.approx([1.5, -0.5, 0], abs=0.2)


def test_few_cases_are_not_believed() -> None:
    cases = [([0.0], False), ([1.0], True)] * 4
    sure, cautious = fit(cases, ridge=0.01)[1][0], fit(cases, ridge=5.0)[1][0]
    assert sure > 4 * cautious > 0
    assert fit(cases, weight=0.1)[1][0] < fit(cases)[1][0]


def test_a_sign_that_never_changes_gets_no_weight() -> None:
    bias, weights = fit([([7.0], True), ([7.0], True), ([7.0], False)])
    assert weights == [0.0]
    assert 1 / (1 + math.exp(-bias)) == pytest.approx(2 / 3)


def test_equations_are_solved_with_pivots() -> None:
    assert solved([[0.0, 2.0], [4.0, 1.0]], [2.0, 9.0]) == pytest.approx([2.0, 1.0])
