"""Chooses tiers and budgets for recorded samples: the cheapest that keep most of what can be had.

Only recorded draws are looked at, and a draw is what the tests that a search may see say of a
sample. What is chosen is how unlikely the next sample must be for a task to be given up; where
tiers begin follows from how likely the first one is.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from agent.routing.chance import Weights
from agent.routing.fitting import Recorded, fit_weights
from agent.routing.profile import Point, Profile, Tiers
from agent.routing.route import TierPlan
from agent.routing.simulation import Walk, routed, stopping, walks

_FLOORS = tuple(round(0.1 * 0.95**step, 5) for step in range(104))
"""Chances at which a task may be given up: from a tenth down to some 0.0005."""
_SHOWN = 13
"""Every so many of them are shown in the curve."""
_EASY, _MEDIUM = 0.3, 0.1
_AT_LEAST = 2
"""Draws before a task is given up, however it looks."""
_STOPS = (1, 2, 3, 5, 10, 20, 30, 50, 75, 100)
_FOLDS = 4
_THINKING_SHARE = 0.95
_THINKING_STEP = 256


def calibrated(
    recorded: Sequence[Recorded],
    *,
    gain: float = 0.9,
    orders: int = 20,
    seed: int = 0,
    model: str = "",
    suite: str = "",
    free_edits: int = 0,
) -> Profile:
    """A profile for the tasks and the model that samples were recorded of.

    Args:
        recorded: tasks with their samples.
        gain: of what the full budget solves beyond one draw, the share to keep.
        orders: shuffled orders of the samples.
        seed: of all that is drawn by lot.
        model: that was asked.
        suite: whose tasks they are.
        free_edits: that were tried of each promising sample, and count in it.

    Raises:
        ValueError: nothing was recorded.
    """
    profile = choose(recorded, gain=gain, orders=orders, seed=seed, prior=Weights())
    tiers = with_thinking(recorded, profile)
    return profile.model_copy(
        update={"model": model, "suite": suite, "tiers": tiers, "free_edits": free_edits}
    )


def choose(
    recorded: Sequence[Recorded],
    *,
    gain: float = 0.9,
    orders: int = 20,
    seed: int = 0,
    prior: Weights | None = None,
) -> Profile:
    """The cheapest profile that keeps so much of the gain, with the curve that it was chosen from.

    The curve is cross-validated: no task is routed by weights that it had a part in, or what is
    chosen would keep less on other tasks than on these. The profile's weights are fitted to all.

    Args:
        recorded: tasks with their samples.
        gain: of what the full budget solves beyond one draw, the share to keep.
        orders: shuffled orders of the samples.
        seed: of the orders and the folds.
        prior: weights to stay near where little is recorded.

    Raises:
        ValueError: nothing was recorded.
    """
    weights = fit_weights(recorded, seed=seed, prior=prior)
    walked = _crossed(recorded, orders=orders, seed=seed, prior=prior)
    most = max(one.size for one in walked)
    curve = [_stops(walked, n) for n in _STOPS if n < most] + [_stops(walked, most)]
    wanted = curve[0].solved + gain * (curve[-1].solved - curve[0].solved)
    low, high = 0, len(_FLOORS) - 1  # the lower the floor, the more is solved
    while low < high:
        middle = (low + high) // 2
        if _point(walked, with_floor(_FLOORS[middle], weights), most).solved >= wanted - 1e-12:
            high = middle
        else:
            low = middle + 1
    shown = sorted({*_FLOORS[::_SHOWN], _FLOORS[low]}, reverse=True)
    curve += [_point(walked, with_floor(floor, weights), most) for floor in shown]
    return with_floor(_FLOORS[low], weights).model_copy(update={"curve": tuple(curve)})


def _crossed(
    recorded: Sequence[Recorded], *, orders: int, seed: int, prior: Weights | None
) -> list[Walk]:
    """Every task in its orders, each by weights that were fitted to the other folds."""
    shuffled = random.Random(f"{seed}/folds").sample(recorded, len(recorded))
    found: list[Walk] = []
    for fold in range(_FOLDS):
        own = shuffled[fold::_FOLDS]
        others = [one for number, one in enumerate(shuffled) if number % _FOLDS != fold]
        if own:
            fitted = fit_weights(others or own, seed=seed, prior=prior)
            walked = walks(own, fitted, orders=orders, seed=seed)
            found += [one for task in walked for one in task]
    return found


def with_floor(floor: float, weights: Weights) -> Profile:
    """A profile that gives up where the next sample's chance is below a floor."""
    easy, medium = max(_EASY, floor), max(_MEDIUM, floor)
    tiers = Tiers(
        easy=TierPlan(chance=easy, strategy="best-of-n"),
        medium=TierPlan(chance=medium, strategy="best-of-n"),
        hard=TierPlan(chance=floor),
        very_hard=TierPlan(samples=_AT_LEAST),
    )
    return Profile(name="calibrated", tiers=tiers, weights=weights)


def with_thinking(recorded: Sequence[Recorded], profile: Profile) -> Tiers:
    """The tiers with room for the thinking that passing samples took; as they were without any.

    A tier gets what 95 % of the passes on the tasks that begin in it or in an easier one took.
    """
    spent: list[list[int]] = [[] for _ in profile.tiers.all]
    for one in recorded:
        first = walks([one], profile.weights, orders=1, seed=0)[0][0].chances[0]
        place = next(n for n, plan in enumerate(profile.tiers.all) if first >= plan.chance)
        spent[place] += [draw.thinking for draw in one.draws if draw.passed and draw.thinking]
    plans = []
    for place, plan in enumerate(profile.tiers.all):
        known = sorted(tokens for tier in spent[: place + 1] for tokens in tier)
        if known:
            enough = known[min(len(known) - 1, int(_THINKING_SHARE * len(known)))]
            rounded = math.ceil(enough / _THINKING_STEP) * _THINKING_STEP
            plan = plan.model_copy(update={"thinking_tokens": rounded})
        plans.append(plan)
    return Tiers(**dict(zip(Tiers.model_fields, plans, strict=True)))


def _stops(walked: Sequence[Walk], n: int) -> Point:
    ends = [stopping(one, n) for one in walked]
    return Point(
        name=f"best of {n}",
        draws=round(sum(draws for draws, _ in ends) / len(ends), 3),
        solved=round(sum(solved for _, solved in ends) / len(ends), 4),
    )


def _point(walked: Sequence[Walk], profile: Profile, n: int) -> Point:
    ends = [routed(one, profile, n) for one in walked]
    return Point(
        name=f"given up below {profile.tiers.hard.chance:g}",
        draws=round(sum(one.draws for one in ends) / len(ends), 3),
        solved=round(sum(one.solved for one in ends) / len(ends), 4),
    )
