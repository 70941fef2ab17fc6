"""What ways to deal out samples would have come to, on recorded samples: pure computation.

Only fresh samples can be dealt out again; what a model would have answered to feedback is in no
record. A task ends at its first pass in all of them.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agent.routing.chance import Weights, chance
from agent.routing.fitting import Recorded, histories
from agent.routing.observed import Draw
from agent.routing.profile import Profile
from agent.routing.route import Difficulty

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Walk:
    """One task in one order.

    Attributes:
        chances: that the next sample passes, before each draw as far as the first pass.
        first: the number of the first sample that passes, from 1; `None` if none does.
        size: samples that there are.
    """

    chances: tuple[float, ...]
    first: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What one task came to.

    Attributes:
        draws: that were made.
        solved: whether one passed.
        tier: in which the task was when it ended.
    """

    draws: int
    solved: bool
    tier: Difficulty


def walk(recorded: Recorded, order: Sequence[Draw], weights: Weights) -> Walk:
    """A task's chances along one order of its samples."""
    known = histories(order)
    first = next((place for place, draw in enumerate(order, start=1) if draw.passed), None)
    chances = tuple(chance(weights, recorded.looks, one) for one in known)
    return Walk(chances, first, len(order))


def walks(
    recorded: Sequence[Recorded], weights: Weights, *, orders: int, seed: int
) -> list[list[Walk]]:
    """Every task in so many shuffled orders; an order doesn't hang on what else is recorded."""
    return [
        [walk(one, shuffled(one, number, seed), weights) for number in range(orders)]
        for one in recorded
    ]


def shuffled(recorded: Recorded, number: int, seed: int) -> list[Draw]:
    """One of a task's orders."""
    return shuffled_alike(recorded, recorded.draws, number, seed)


def shuffled_alike(
    recorded: Recorded, things: Sequence[Thing], number: int, seed: int
) -> list[Thing]:
    """What belongs to each of a task's draws, in the order that `shuffled` gives the draws."""
    lot = random.Random(f"{seed}/{recorded.task_id}/{number}")
    return lot.sample(things, len(things))


def stopping(walked: Walk, n: int) -> tuple[int, bool]:
    """Best-of-n that stops at the first pass: draws, and whether there was one."""
    n = min(n, walked.size)
    if walked.first is not None and walked.first <= n:
        return walked.first, True
    return n, False


def routed(walked: Walk, profile: Profile, n: int) -> Spent:
    """The adaptive search by a profile, as far as it draws afresh."""
    tier, believed = Difficulty.VERY_HARD, 0.0
    for drawn in range(min(n, walked.size) + 1):
        if walked.first is not None and walked.first <= drawn:
            return Spent(drawn, True, tier)
        at = drawn if profile.revise else 0
        believed = walked.chances[at] if at < len(walked.chances) else believed
        tier, plan = profile.tiers.of(believed)
        if drawn >= min(n, plan.samples or n, walked.size):
            return Spent(drawn, False, tier)
    return Spent(min(n, walked.size), False, tier)


Index = Callable[[int, int], float]
"""From a task's place and its draws so far to how much it is worth drawing for; the most goes."""


def dealt(walked: Sequence[Walk], index: Index) -> list[int]:
    """Deals out one sample after the other to the task of the highest index.

    Returns:
        How many tasks are solved after each draw, until all is drawn.
    """
    waiting = [(-index(task, 0), task, 0) for task in range(len(walked))]
    heapq.heapify(waiting)
    solved, after = 0, []
    while waiting:
        _, task, drawn = heapq.heappop(waiting)
        drawn += 1
        if walked[task].first == drawn:
            solved += 1
        elif drawn < walked[task].size:
            heapq.heappush(waiting, (-index(task, drawn), task, drawn))
        after.append(solved)
    return after


def by_chance(walked: Sequence[Walk]) -> Index:
    """The pool's index: the chance that the next sample passes."""
    return lambda task, drawn: walked[task].chances[drawn]


def in_turn(_task: int, drawn: int) -> float:
    """Taking turns: whoever has drawn least."""
    return -float(drawn)
