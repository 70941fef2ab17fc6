"""The chance that one more fresh sample of a task passes: a logistic model of seven numbers.

Two things tell of it: what the task looks like, and how its samples have failed so far. How many
have failed tells most: a task that was not solved in twenty draws is rarely solved in the
twenty-first. Looks tell much of the first draw and next to nothing of a later one; what tells a
little later on is how many tests there are, in how many ways the samples fail, and how near the
best one came. Which coefficients hold is a matter of the model that is asked: `regreen calibrate`
fits them.
"""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict

from agent.routing.features import Features
from agent.routing.observed import Failures

_SETTLED = 5
"""Failures from which on the ways to fail are taken at their full weight."""
_LATE = 20
"""Failures from which on the number of tests is taken at its full weight."""
_WORDS, _EXAMPLES, _TESTS = 4.0, 1.2, 2.0
"""A middling task's features (means over HumanEval), so that an intercept has a meaning."""


class Weights(BaseModel):
    """Coefficients of the logit of the chance.

    Those shipped were fitted on 100 samples of a 16B model for each of 82 HumanEval tasks, half of
    the suite; `bench/routing.py` fits them again and reports on the other half.

    Attributes:
        intercept: of a middling task that nothing was drawn for.
        failed: of log(1 + failures).
        words: of the prompt's length over 1 + failures.
        examples: of the marks of examples in the prompt. Samples that were recorded had been asked
            for without the examples, so this says what is lost where they are needed.
        tests: of their number, the more the longer samples have failed: a task with many tests is
            then the likelier to be beyond the model.
        behaviours: of the logit of the share of failures with a behaviour of their own.
        best: of the highest reward among the failures.
        rated: of the model's own rating, from -1, hardest, to 1, where it was asked for one. Never
            fitted: no recorded model was asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    intercept: float = -1.6585
    failed: float = -1.0046
    words: float = -2.1102
    examples: float = -0.3818
    tests: float = -1.0037
    behaviours: float = 0.1062
    best: float = 0.9007
    rated: float = 1.0


FITTED = tuple(name for name in Weights.model_fields if name != "rated")
"""The names of the weights that are fitted, in the order of `inputs`."""


def inputs(looks: Features, failed: Failures) -> tuple[float, ...]:
    """What the fitted weights are multiplied with, in the order of their names."""
    count = failed.count
    settled = min(1.0, count / _SETTLED)
    return (
        1.0,
        math.log1p(count),
        (looks.words - _WORDS) / (1 + count),
        looks.examples - _EXAMPLES,
        min(1.0, count / _LATE) * (looks.tests - _TESTS),
        settled * math.log((failed.behaviours + 0.5) / (count - failed.behaviours + 0.5)),
        settled * failed.best,
    )


def chance(weights: Weights, looks: Features, failed: Failures, rated: float = 0.0) -> float:
    """The chance that the next fresh sample passes.

    Args:
        weights: of the model that is asked.
        looks: of the task.
        failed: what its failures come to.
        rated: the model's own rating from -1, hardest, to 1; 0 where it gave none.
    """
    own = [getattr(weights, name) for name in FITTED]
    total = sum(w * x for w, x in zip(own, inputs(looks, failed), strict=True))
    return sigmoid(total + weights.rated * rated)


def sigmoid(value: float) -> float:
    """The logistic function, without overflow."""
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, value))))
