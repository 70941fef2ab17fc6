"""Learning: it finds what tells right from wrong, and says how sure it is."""

from __future__ import annotations

import random

import pytest

from agent.reward.cases import Case
from agent.reward.fitting import FEWEST_TASKS, _logistic, _rows, area, fit_reward
from agent.reward.model import RewardError
from agent.reward.signs import SIGNS, GroupSigns

pytest.importorskip("sklearn", reason="scikit-learn is in the extra learn")


def signs(**parts: float) -> GroupSigns:
    return GroupSigns(**{name: parts.get(name, 0.0) for name in SIGNS})


def made(tasks: int = 24, seed: int = 0) -> list[Case]:
    """Groups whose size says nothing; those that raise often are wrong."""
    draw = random.Random(seed)
    found = []
    for task in range(tasks):
        for _ in range(6):
            raised, size = draw.random(), draw.randint(1, 9)
            own = signs(raised=raised, size=float(size), share=draw.random())
            right = float(draw.random() > raised)
            found.append(Case(task=f"t{task}", signs=own, right=right, weight=1 / 6, size=size))
    return found


def test_it_learns_what_tells_right_from_wrong() -> None:
    model = fit_reward(made())
    assert model.training.auc > 0.7 > model.training.by_size
    assert model.training.error < 0.15
    assert model.training.tasks == 24
    assert "scikit-learn" in model.training.library
    assert (
        model.value(signs(raised=0.05).values) > 0.7 > 0.4 > model.value(signs(raised=0.95).values)
    )
    said = sum(row.said * row.share for row in model.training.reliability)
    assert said == pytest.approx(sum(one.right for one in made()) / len(made()), abs=0.03)
    assert fit_reward(made()) == model


def test_what_is_said_here_is_what_the_library_says() -> None:
    """Coefficients of the signs as they are, against scikit-learn's own prediction."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rows = _rows(made())
    line = _logistic(1.0)(rows, 0)
    scaler = StandardScaler().fit(rows.values, sample_weight=rows.weights)
    own = LogisticRegression(C=1.0, max_iter=2_000).fit(
        scaler.transform(rows.values), rows.right, sample_weight=rows.weights
    )
    theirs = own.decision_function(scaler.transform(rows.values))
    assert [line.logit(values) for values in rows.values] == pytest.approx(list(theirs), abs=1e-6)
    assert line.weights[SIGNS.index("raised")] < -1


def test_too_little_is_refused() -> None:
    few = [one for one in made() if int(one.task[1:]) < FEWEST_TASKS - 1]
    with pytest.raises(RewardError, match=f"{FEWEST_TASKS - 1} tasks have two"):
        fit_reward(few)
    alike = [Case(one.task, one.signs, 1.0, one.weight, one.size) for one in made()]
    with pytest.raises(RewardError, match="programs that don't"):
        fit_reward(alike)
    with pytest.raises(RewardError, match="0 tasks"):
        fit_reward([])


def test_the_area_under_the_curve() -> None:
    assert area([1, 2, 3, 4], [0, 0, 1, 1], [1, 1, 1, 1]) == 1.0
    assert area([4, 3, 2, 1], [0, 0, 1, 1], [1, 1, 1, 1]) == 0.0
    assert area([1, 1, 1], [0, 1, 0.5], [1, 1, 3]) == 0.5
    assert area([1, 2], [0.5, 1.0], [2, 1]) == pytest.approx((1 * 0.5 + 1 * 1) / 2)
    assert area([1, 2], [1, 1], [1, 1]) == 0.5
