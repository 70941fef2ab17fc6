"""Fits a learned reward with scikit-learn, which is imported here only and only when it is used.

Logistic regressions with weaker and stronger penalties are compared by their log loss on tasks that
they have not seen; the best is calibrated by what it said of those, and fitted again to all.
Boosted trees said better what was held out, and worse what the official tests of a recorded suite
say (docs/reward.md), so there are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.reward.cases import Case
from agent.reward.model import (
    Bin,
    Linear,
    RewardError,
    RewardModel,
    Training,
)
from agent.reward.signs import SIGNS

FEWEST_TASKS = 8
"""Tasks below which nothing is learned: by four folds, two of them are left to judge each."""
_FOLDS = 4
_PENALTIES = (0.03, 0.3)
"""Inverse strengths of the penalty on the weights of standardised signs, in scikit-learn's words,
where the cases of a task weigh 1."""
_BINS = 10


@dataclass(frozen=True, slots=True)
class _Rows:
    """Cases as a learner takes them: each twice, as one that is right and one that isn't."""

    values: Sequence[tuple[float, ...]]
    right: Sequence[int]
    weights: Sequence[float]


Learner = Callable[[_Rows, int], Linear]


def fit_reward(
    cases: Sequence[Case], *, seed: int = 0, about: Training | None = None
) -> RewardModel:
    """The model that fits the cases best, calibrated.

    Args:
        cases: of several tasks.
        seed: of what is drawn by lot.
        about: what is known of where the cases are from.

    Raises:
        RewardError: there is too little to learn from, or scikit-learn isn't installed.
    """
    tasks = list(dict.fromkeys(one.task for one in cases))
    shares = [one.right for one in cases]
    if len(tasks) < FEWEST_TASKS or min(shares) == max(shares):
        raise RewardError(
            f"too little to learn from: {len(tasks)} tasks have two visible tests or more and "
            f"programs that pass some of them, and {FEWEST_TASKS} are needed, with programs that "
            "pass a test held out and programs that don't"
        )
    version = _library()
    folds = {task: place % _FOLDS for place, task in enumerate(tasks)}
    crossed = [_crossed(cases, folds, learner, seed) for learner in _learners()]
    calibrated = [_calibrated(cases, logits) for logits in crossed]
    losses = [
        _loss(cases, [slope * logit + shift for logit in logits])
        for logits, (slope, shift) in zip(crossed, calibrated, strict=True)
    ]
    best = min(range(len(losses)), key=losses.__getitem__)
    slope, shift = calibrated[best]
    said = [_sigmoid(slope * logit + shift) for logit in crossed[best]]
    training = (about or Training()).model_copy(
        update={
            "tasks": len(tasks),
            "cases": len(cases),
            "library": f"scikit-learn {version}",
            "auc": area(said, shares, [one.weight for one in cases]),
            "by_size": area([one.size for one in cases], shares, [one.weight for one in cases]),
            "error": _error(cases, said),
            "reliability": tuple(_bins(cases, said)),
        }
    )
    return RewardModel(
        signs=SIGNS,
        model=_learners()[best](_rows(cases), seed),
        slope=slope,
        shift=shift,
        training=training,
    )


def area(said: Sequence[float], right: Sequence[float], weights: Sequence[float]) -> float:
    """The area under the curve: how likely what is right is ranked above what isn't.

    Args:
        said: of each case, the higher the more it is believed.
        right: the share of each that is right.
        weights: of each.
    """
    order = sorted(range(len(said)), key=said.__getitem__)
    below = area = ups = downs = 0.0
    place = 0
    while place < len(order):
        end = place
        while end < len(order) and said[order[end]] == said[order[place]]:
            end += 1
        tied = order[place:end]
        up = math.fsum(weights[k] * right[k] for k in tied)
        down = math.fsum(weights[k] * (1 - right[k]) for k in tied)
        area += up * (below + down / 2)
        below, ups, downs = below + down, ups + up, downs + down
        place = end
    return area / (ups * downs) if ups and downs else 0.5


def _library() -> str:
    try:
        import sklearn
    except ImportError:
        raise RewardError(
            "a reward is learned with scikit-learn, which isn't installed: "
            "pip install 'regreen[learn]'"
        ) from None
    return str(sklearn.__version__)


def _learners() -> list[Learner]:
    return [_logistic(penalty) for penalty in _PENALTIES]


def _logistic(penalty: float) -> Learner:
    def learn(rows: _Rows, seed: int) -> Linear:
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(rows.values, sample_weight=rows.weights)
        found = LogisticRegression(C=penalty, max_iter=2_000, random_state=seed).fit(
            scaler.transform(rows.values), rows.right, sample_weight=rows.weights
        )
        weights = [float(w) / float(s) for w, s in zip(found.coef_[0], scaler.scale_, strict=True)]
        shift = math.fsum(w * float(m) for w, m in zip(weights, scaler.mean_, strict=True))
        return Linear(bias=float(found.intercept_[0]) - shift, weights=tuple(weights))

    return learn


def _rows(cases: Sequence[Case]) -> _Rows:
    values, right, weights = [], [], []
    for one in cases:
        for truth, share in ((1, one.right), (0, 1 - one.right)):
            if share > 0:
                values.append(one.signs.values)
                right.append(truth)
                weights.append(one.weight * share)
    return _Rows(values, right, weights)


def _crossed(
    cases: Sequence[Case], folds: dict[str, int], learner: Learner, seed: int
) -> list[float]:
    """The logit of each case by a model that has not seen its task."""
    logits = [0.0] * len(cases)
    for fold in range(_FOLDS):
        rows = _rows([one for one in cases if folds[one.task] != fold])
        if len(set(rows.right)) < 2:
            continue
        model = learner(rows, seed)
        for place, one in enumerate(cases):
            if folds[one.task] == fold:
                logits[place] = model.logit(one.signs.values)
    return logits


def _calibrated(cases: Sequence[Case], logits: Sequence[float]) -> tuple[float, float]:
    """Slope and shift that make logits fit best, with a weak pull towards leaving them alone."""
    slope, shift = 1.0, 0.0
    for _ in range(50):
        rows = [
            (x, one.right - _sigmoid(slope * x + shift), _sigmoid(slope * x + shift), one.weight)
            for x, one in zip(logits, cases, strict=True)
        ]
        up = math.fsum(w * d * x for x, d, _, w in rows) - (slope - 1)
        right = math.fsum(w * d for _, d, _, w in rows)
        both = [(w * p * (1 - p), x) for x, _, p, w in rows]
        xx = math.fsum(v * x * x for v, x in both) + 1
        x1 = math.fsum(v * x for v, x in both)
        ones = math.fsum(v for v, _ in both) + 1e-9
        determinant = xx * ones - x1 * x1
        by = (up * ones - right * x1) / determinant, (right * xx - up * x1) / determinant
        slope, shift = slope + by[0], shift + by[1]
        if max(map(abs, by)) < 1e-9:
            break
    return (slope, shift) if slope > 0 else (1.0, 0.0)  # never turned round


def _loss(cases: Sequence[Case], logits: Sequence[float]) -> float:
    return math.fsum(
        one.weight * (math.log1p(math.exp(-abs(x))) + max(x, 0.0) - one.right * x)
        for x, one in zip(logits, cases, strict=True)
    )


def _bins(cases: Sequence[Case], said: Sequence[float]) -> list[Bin]:
    total = math.fsum(one.weight for one in cases)
    found: list[Bin] = []
    for number in range(_BINS):
        some = [
            (one.weight, value, one.right)
            for one, value in zip(cases, said, strict=True)
            if min(int(value * _BINS), _BINS - 1) == number
        ]
        weight = math.fsum(w for w, _, _ in some)
        if weight > 0:
            found.append(
                Bin(
                    share=weight / total,
                    said=math.fsum(w * value for w, value, _ in some) / weight,
                    right=math.fsum(w * right for w, _, right in some) / weight,
                )
            )
    return found


def _error(cases: Sequence[Case], said: Sequence[float]) -> float:
    return math.fsum(row.share * abs(row.said - row.right) for row in _bins(cases, said))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
