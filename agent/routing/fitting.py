"""Fits the weights of a chance to recorded samples.

For each task, in a few shuffled orders, one row at each of a few places before the first pass: what
was known there, and as the truth the share of the samples behind it that pass. Samples of one task
are exchangeable, so that share is the unbiased and least noisy guess of how likely the next one was
to pass. The rows go through a logistic regression with a penalty on the squares of the weights (le
Cessie and van Houwelingen, "Ridge Estimators in Logistic Regression", 1992), by Newton's method.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agent.routing.chance import FITTED, Weights, inputs, sigmoid
from agent.routing.features import Features
from agent.routing.observed import Draw, Failures

_ORDERS = 8
_PLACES = (0, 1, 2, 3, 4, 5, 7, 9, 12, 16, 20, 25, 30, 40, 50, 60, 70, 80, 90)
_LATER = 0.25
"""How much more a later row weighs, a draw: later decisions are rarer in the rows, and what hangs
on them is more draws."""
_PENALTY = 1.0
_NO_PENALTY = 1e-3
_STEPS = 40
_CLOSE = 1e-7

Matrix = list[list[float]]


class Recorded(BaseModel):
    """A task with samples that were drawn whatever came of them.

    Attributes:
        task_id: of the task.
        looks: what its prompt and visible tests tell.
        draws: what the visible tests say of each sample.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    looks: Features
    draws: tuple[Draw, ...]


class Row(BaseModel):
    """What was known at one place, and what followed.

    Attributes:
        values: as `agent.routing.chance.inputs` gives them.
        share: of the samples behind it that pass.
        weight: of the row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: tuple[float, ...]
    share: float
    weight: float


def fit_weights(
    recorded: Sequence[Recorded], *, seed: int = 0, prior: Weights | None = None
) -> Weights:
    """The weights that fit recorded samples best.

    Args:
        recorded: tasks with their samples.
        seed: of the shuffled orders.
        prior: weights to stay near where little is recorded; unset: zeros.

    Raises:
        ValueError: nothing was recorded.
    """
    rows = [row for one in recorded for row in rows_of(one, seed)]
    if not rows:
        raise ValueError("nothing was recorded to fit to: draw at least one sample of a task")
    centre = None if prior is None else [getattr(prior, name) for name in FITTED]
    fitted = regress(rows, centre)
    return Weights(**dict(zip(FITTED, (round(one, 4) for one in fitted), strict=True)))


def rows_of(recorded: Recorded, seed: int) -> list[Row]:
    """The rows of one task."""
    rows: list[Row] = []
    for number in range(_ORDERS):
        lot = random.Random(f"{seed}/{recorded.task_id}/{number}")
        order = lot.sample(recorded.draws, len(recorded.draws))
        passes = sum(one.passed for one in order)
        for place, known in enumerate(histories(order)):
            if place in _PLACES:
                share = passes / (len(order) - place)
                weight = (1 + _LATER * place) / _ORDERS
                rows.append(Row(values=inputs(recorded.looks, known), share=share, weight=weight))
    return rows


def histories(order: Sequence[Draw]) -> list[Failures]:
    """What was known before each draw, up to the one that passes."""
    found: list[Failures] = []
    behaviours: set[str] = set()
    best = 0.0
    for count, draw in enumerate(order):
        found.append(Failures(count=count, behaviours=len(behaviours), best=best))
        if draw.passed:
            break
        best = max(best, draw.reward)
        if draw.runs:
            behaviours.add(draw.behaviour)
    return found


def regress(rows: Sequence[Row], centre: Sequence[float] | None = None) -> list[float]:
    """Penalised logistic regression; the first two weights are next to free.

    Args:
        rows: with as many values each.
        centre: weights that cost no penalty; unset: zeros.
    """
    size = len(rows[0].values)
    middle = centre or [0.0] * size
    penalty = [_NO_PENALTY if place < 2 else _PENALTY for place in range(size)]
    weights = [0.0] * size
    for _ in range(_STEPS):
        slope = [-penalty[i] * (weights[i] - middle[i]) for i in range(size)]
        bend = [[penalty[i] if i == j else 0.0 for j in range(size)] for i in range(size)]
        for row in rows:
            at = sigmoid(sum(w * x for w, x in zip(weights, row.values, strict=True)))
            rest, curved = row.weight * (row.share - at), row.weight * at * (1 - at)
            for i, x in enumerate(row.values):
                slope[i] += rest * x
                for j in range(i + 1):
                    bend[i][j] += curved * x * row.values[j]
        for i in range(size):
            for j in range(i):
                bend[j][i] = bend[i][j]
        step = solve(bend, slope)
        longest = max(map(abs, step))
        shorter = min(1.0, 5.0 / longest) if longest else 1.0  # far off, Newton may overshoot
        weights = [w + shorter * s for w, s in zip(weights, step, strict=True)]
        if longest < _CLOSE:
            break
    return weights


def solve(matrix: Matrix, right: Sequence[float]) -> list[float]:
    """Solves a small system of linear equations by Gauss's elimination with pivots."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for i in range(size):
        pivot = max(range(i, size), key=lambda place: abs(rows[place][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for j in range(i + 1, size):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [b - factor * a for a, b in zip(rows[i], rows[j], strict=True)]
    found = [0.0] * size
    for i in reversed(range(size)):
        known = math.fsum(rows[i][j] * found[j] for j in range(i + 1, size))
        found[i] = (rows[i][size] - known) / rows[i][i]
    return found
