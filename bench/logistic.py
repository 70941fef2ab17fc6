"""A small logistic regression, fitted by Newton's method, so that no library is needed for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

_RIDGE = 1.0
"""Of standardised signs; the prior that none of them says anything."""
_ROUNDS = 40


def fit(
    cases: Sequence[tuple[Sequence[float], bool]], *, weight: float = 1.0, ridge: float = _RIDGE
) -> tuple[float, list[float]]:
    """Bias and weights of the signs, maximum a posteriori with a Gaussian prior on the weights.

    Args:
        cases: signs and what came true.
        weight: of each case.
        ridge: of the weights of signs that have been standardised; the bias has none.

    Returns:
        The bias and one weight a sign, for signs as they are.
    """
    size = len(cases[0][0]) if cases else 0
    means = [sum(signs[k] for signs, _ in cases) / len(cases) for k in range(size)]
    spreads = [
        math.sqrt(sum((signs[k] - means[k]) ** 2 for signs, _ in cases) / len(cases)) or 1.0
        for k in range(size)
    ]
    rows = [
        [
            1.0,
            *(
                (value - mean) / spread
                for value, mean, spread in zip(signs, means, spreads, strict=True)
            ),
        ]
        for signs, _ in cases
    ]
    truths = [float(right) for _, right in cases]
    beta = [0.0] * (size + 1)
    for _ in range(_ROUNDS):
        step = _newton(rows, truths, beta, weight, ridge)
        beta = [value + change for value, change in zip(beta, step, strict=True)]
        if max(map(abs, step)) < 1e-9:
            break
    weights = [value / spread for value, spread in zip(beta[1:], spreads, strict=True)]
    bias = beta[0] - sum(value * mean for value, mean in zip(weights, means, strict=True))
    return bias, weights


def _newton(
    rows: Sequence[Sequence[float]],
    truths: Sequence[float],
    beta: Sequence[float],
    weight: float,
    ridge: float,
) -> list[float]:
    size = len(beta)
    gradient = [0.0] + [-ridge * value for value in beta[1:]]
    hessian = [[0.0] * size for _ in range(size)]
    for k in range(1, size):
        hessian[k][k] = ridge
    hessian[0][0] = 1e-9
    for row, truth in zip(rows, truths, strict=True):
        logit = sum(one * other for one, other in zip(row, beta, strict=True))
        said = 1 / (1 + math.exp(-max(min(logit, 30.0), -30.0)))
        slope = weight * said * (1 - said)
        for i in range(size):
            gradient[i] += weight * (truth - said) * row[i]
            for j in range(size):
                hessian[i][j] += slope * row[i] * row[j]
    return solved(hessian, gradient)


def solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """The solution of a small system of linear equations, by elimination with pivots."""
    size = len(right)
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    for k in range(size):
        pivot = max(range(k, size), key=lambda i: abs(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(size):
            if i != k:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [rows[k][size] / rows[k][k] for k in range(size)]
