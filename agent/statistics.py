"""pass@k and its intervals."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

BOOTSTRAP_ROUNDS = 1_000


def pass_at_k(drawn: int, right: int, k: int) -> float:
    """The chance that at least one of `k` samples is right, estimated without bias.

    Chen et al., "Evaluating Large Language Models Trained on Code" (2021), section 2.1:
    `1 - C(n-c, k) / C(n, k)`.

    Args:
        drawn: samples drawn, n.
        right: of these, samples that are right, c.
        k: at most `drawn`.

    Raises:
        ValueError: `k` is below 1 or above `drawn`.
    """
    if not 1 <= k <= drawn:
        raise ValueError(f"k is {k}, and {drawn} samples were drawn")
    if drawn - right < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / number for number in range(drawn - right + 1, drawn + 1))


def mean_interval(
    values: Sequence[float], *, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """A bootstrap interval (percentiles) of a mean over tasks.

    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    if not values:
        return 0.0, 0.0
    draw = random.Random(seed)
    size = len(values)
    means = sorted(sum(draw.choices(values, k=size)) / size for _ in range(BOOTSTRAP_ROUNDS))
    tail = (1.0 - confidence) / 2
    return means[int(tail * len(means))], means[min(int((1 - tail) * len(means)), len(means) - 1)]


def wilson_interval(right: int, total: int, *, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share, good where it is near 0 or 1.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927).
    """
    if total == 0:
        return 0.0, 0.0
    share = right / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def pass_at_ks(
    counts: Sequence[tuple[int, int]], ks: Sequence[int]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """pass@k and its interval, for every `k` that all tasks have samples for.

    Args:
        counts: samples drawn and samples right, a pair a task.
        ks: the k wanted.

    Returns:
        Values by k, and 95 % intervals by k.
    """
    fewest = min((drawn for drawn, _ in counts), default=0)
    values: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for k in ks:
        if 1 <= k <= fewest:
            each = [pass_at_k(drawn, right, k) for drawn, right in counts]
            values[str(k)] = sum(each) / len(each)
            intervals[str(k)] = mean_interval(each)
    return values, intervals


def usual_ks(most: int) -> list[int]:
    """The k that reports usually show, and the largest."""
    return sorted({k for k in (1, 5, 10, 20, 50, 100) if k <= most} | ({most} if most else set()))


def calibration_error(said: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """The expected calibration error: how far shares of right answers are from what was said.

    Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"
    (2015); equal-width bins.

    Args:
        said: a probability and what came true, a pair a case.
        bins: of probabilities, from 0 to 1.
    """
    gaps = [abs(row.said - row.right) * row.count for row in reliability(said, bins)]
    return sum(gaps) / len(said) if said else 0.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases of about the same probability.

    Attributes:
        count: how many.
        said: their mean probability.
        right: the share that came true.
    """

    count: int
    said: float
    right: float


def reliability(said: Sequence[tuple[float, bool]], bins: int = 10) -> list[Bin]:
    """The table behind a reliability diagram; bins without a case are left out."""
    found: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for value, right in said:
        found[min(int(value * bins), bins - 1)].append((value, right))
    return [
        Bin(
            count=len(cases),
            said=sum(value for value, _ in cases) / len(cases),
            right=sum(right for _, right in cases) / len(cases),
        )
        for cases in found
        if cases
    ]
