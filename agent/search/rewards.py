"""Process rewards: what a step, a chain of steps, or an unfinished program is worth, in [0, 1].

The reward of one verdict is its weighted partial pass rate (`verifiers.verdict.reward`). A chain
has one reward a step, which are made one number here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum


class Aggregate(StrEnum):
    """How the rewards of a chain's steps become one.

    MIN: the weakest step; the default where a program grows step by step, since a wrong step is
        not made good by those after it. "Let's Verify Step by Step" (Lightman et al., 2023).
    PRODUCT: all together; known to under-perform on long chains, where it favours short ones.
    MEAN: the average step.
    LAST: the state that was reached; the default for chains of repairs, which by `min` could
        never outgrow a bad first attempt. Snell et al., "Scaling LLM Test-Time Compute Optimally"
        (2024), found it best for a reward model of steps.
    """

    MIN = "min"
    PRODUCT = "product"
    MEAN = "mean"
    LAST = "last"


REPAIRS = Aggregate.LAST
"""The default for a chain of repairs."""
GROWTH = Aggregate.MIN
"""The default for a program that grows step by step."""


def aggregate(rewards: Sequence[float], how: Aggregate) -> float:
    """One reward for a chain of steps.

    Args:
        rewards: one a step, each in [0, 1], the first step first.
        how: see `Aggregate`.

    Raises:
        ValueError: there is no step.
    """
    if not rewards:
        raise ValueError("a chain without steps has no reward: give at least one")
    if how is Aggregate.MIN:
        return min(rewards)
    if how is Aggregate.PRODUCT:
        return math.prod(rewards)
    if how is Aggregate.MEAN:
        return math.fsum(rewards) / len(rewards)
    return rewards[-1]


def monte_carlo_value(passes: Sequence[bool]) -> float:
    """A node's value by Monte Carlo: the share of the completions drawn from it that pass.

    An unbiased estimate of the chance that one more completion from there passes. As in
    Wang et al., "Math-Shepherd" (2024), who call it a soft estimation.

    Args:
        passes: whether each completion passed.

    Raises:
        ValueError: none was drawn.
    """
    if not passes:
        raise ValueError("no completion was drawn, so there is no estimate: give at least one")
    return sum(passes) / len(passes)
