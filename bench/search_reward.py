"""What a learned reward is worth: is a visible pass truly right, and which program to choose.

It is learned as `regreen train-reward` learns it, from what the examples in the docstrings say of
the tasks with even places: some are held out, and what passes the others is labelled by them. No
verdict by the official tests has a part in that; those verdicts score, on the half that was learned
from and on the other one.

The area under the curve is that of all programs that pass all visible tests, of all tasks together,
each ranked by its group. Tasks without a visible test have no visible pass, and are left out there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from agent.reward.cases import cases
from agent.reward.fitting import area, fit_reward
from agent.reward.model import RewardModel, write_reward
from agent.reward.signs import learned, signs_of
from agent.search.votes import by_size, grouped, standing
from agent.statistics import BOOTSTRAP_ROUNDS, mean_interval
from bench.search_common import SearchOptions, Section
from bench.search_sightings import Searched, read_sightings

_DRAWS = (10, 25, 50, 100)
_ORDERS = 8
"""Shuffled orders at the most, for fewer draws than all."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One group of programs that pass, in one task.

    Attributes:
        size: programs in it.
        worth: as it is ranked where nothing was learned.
        value: by the learned reward.
        right: share of its programs that pass the official tests.
    """

    size: int
    worth: float
    value: float
    right: float


@dataclass(frozen=True, slots=True)
class Row:
    """One half of the tasks after so many draws.

    Attributes:
        tasks: `fit` or `untouched`.
        draws: of each task.
        passes: visible passes, over all orders.
        by_size: area under the curve, ranked by size of the group.
        by_worth: likewise, by what agreement goes by: size, near agreement, exceptions.
        by_value: likewise, by the learned reward.
        gain: of the learned reward over the size.
        interval: 95 %, paired bootstrap over tasks.
        right: share of tasks in which the program chosen by worth is right.
        right_by_value: by the learned reward.
        right_gain: of that, with its interval.
        right_interval: 95 %, paired bootstrap over tasks.
    """

    tasks: str
    draws: int
    passes: int
    by_size: float
    by_worth: float
    by_value: float
    gain: float
    interval: tuple[float, float]
    right: float
    right_by_value: float
    right_gain: float
    right_interval: tuple[float, float]


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    found = read_sightings(asked)
    halves = {"fit": found[0::2], "untouched": found[1::2]}
    model = learn(halves["fit"], asked.seed)
    if asked.reward is not None:
        write_reward(asked.reward, model)
    orders = min(asked.orders, _ORDERS)
    rows = [
        measured(name, some, model, draws, orders, asked.seed)
        for name, some in halves.items()
        for draws in _DRAWS
    ]
    return Section(
        _lines(rows, model),
        {"rows": [asdict(row) for row in rows], "model": model.training.model_dump(mode="json")},
    )


def learn(searched: Sequence[Searched], seed: int) -> RewardModel:
    """The reward that is learned from the visible verdicts of some tasks."""
    return fit_reward(
        [case for one in searched for case in cases(one.name, one.sightings, seed=seed)], seed=seed
    )


def measured(
    name: str, searched: Sequence[Searched], model: RewardModel, draws: int, orders: int, seed: int
) -> Row:
    """One half after so many draws, over shuffled orders; of all draws there is one."""
    some = [one for one in searched if one.tests]
    ranked = [
        [
            group
            for order in _orders(one, draws, orders, seed)
            for group in _ranked(one, order, model)
        ]
        for one in some
    ]
    rights = [_rights(one, model, _orders(one, draws, orders, seed)) for one in searched]
    gains = [after - before for before, after in rights]
    return Row(
        tasks=name,
        draws=draws,
        passes=sum(group.size for groups in ranked for group in groups),
        by_size=_area(ranked, "size"),
        by_worth=_area(ranked, "worth"),
        by_value=_area(ranked, "value"),
        gain=_area(ranked, "value") - _area(ranked, "size"),
        interval=_bootstrap(ranked, seed),
        right=sum(before for before, _ in rights) / len(rights),
        right_by_value=sum(after for _, after in rights) / len(rights),
        right_gain=sum(gains) / len(gains),
        right_interval=mean_interval(gains),
    )


def _orders(one: Searched, draws: int, orders: int, seed: int) -> list[list[int]]:
    places = list(range(len(one.votes)))
    if draws >= len(places):
        return [places]
    draw = random.Random(f"{seed}/{one.name}")
    return [draw.sample(places, len(places))[:draws] for _ in range(orders)]


def _ranked(one: Searched, order: Sequence[int], model: RewardModel) -> list[Ranked]:
    votes = [one.votes[place] for place in order]
    groups = grouped([vote for vote in votes if vote.passed])
    worths = by_size(votes, groups)
    return [
        Ranked(
            size=group.size,
            worth=worth,
            value=model.value(signs.values),
            right=sum(one.right[vote.index] for vote in group.members) / group.size,
        )
        for group, worth, signs in zip(
            groups, worths, signs_of(votes, groups) if groups else (), strict=True
        )
    ]


def _rights(
    one: Searched, model: RewardModel, orders: Sequence[Sequence[int]]
) -> tuple[float, float]:
    """How often what is chosen is right: by worth, and by the learned reward."""
    found = [0.0, 0.0]
    for order in orders:
        votes = [one.votes[place] for place in order]
        for place, worth in enumerate((by_size, learned(model))):
            stands = standing(votes, worth)
            assert stands is not None
            found[place] += one.right[stands.chosen.index] / len(orders)
    return found[0], found[1]


def _area(ranked: Sequence[Sequence[Ranked]], by: str) -> float:
    groups = [group for task in ranked for group in task]
    return area(
        [float(getattr(group, by)) for group in groups],
        [group.right for group in groups],
        [float(group.size) for group in groups],
    )


def _bootstrap(ranked: Sequence[Sequence[Ranked]], seed: int) -> tuple[float, float]:
    """Of the gain in area, over tasks; both rankings see the same tasks."""
    draw = random.Random(seed)
    by_value, by_size = _sorted(ranked, "value"), _sorted(ranked, "size")
    gains = []
    for _ in range(BOOTSTRAP_ROUNDS):
        times = Counter(draw.choices(range(len(ranked)), k=len(ranked)))
        gains.append(_resampled(by_value, times) - _resampled(by_size, times))
    gains.sort()
    return gains[int(0.025 * len(gains))], gains[int(0.975 * len(gains))]


def _sorted(ranked: Sequence[Sequence[Ranked]], by: str) -> list[list[tuple[int, float, float]]]:
    """Task, right and wrong programs of each group, least worth first, those that tie together."""
    tied: dict[float, list[tuple[int, float, float]]] = {}
    for task, groups in enumerate(ranked):
        for group in groups:
            right = group.size * group.right
            tied.setdefault(getattr(group, by), []).append((task, right, group.size - right))
    return [tied[value] for value in sorted(tied)]


def _resampled(tied: Sequence[Sequence[tuple[int, float, float]]], times: Counter[int]) -> float:
    """The area under the curve where each task counts so many times."""
    below = area = rights = 0.0
    for groups in tied:
        right = sum(times[task] * ups for task, ups, _ in groups)
        wrong = sum(times[task] * downs for task, _, downs in groups)
        area += right * (below + wrong / 2)
        below, rights = below + wrong, rights + right
    return area / (rights * below) if rights and below else 0.5


def _lines(rows: Sequence[Row], model: RewardModel) -> list[str]:
    about = model.training
    lines = [
        f"Learned from examples held out, {about.tasks} tasks, {about.cases} groups: "
        f"{model.model.kind}; on tasks it has not seen, area {about.auc:.3f} against "
        f"{about.by_size:.3f} by size, calibration error {about.error:.3f}, by such examples.",
        "Is a visible pass right by the official tests (area under the curve); what is chosen.",
        f"{'tasks':<10}{'draws':>6}{'passes':>8}{'size':>7}{'worth':>7}{'learned':>9}{'gain':>8}"
        f"{'95 %':>18}{'right':>8}{'learned':>9}{'gain':>8}{'95 %':>18}",
    ]
    for row in rows:
        low, high = row.interval
        under, over = row.right_interval
        lines.append(
            f"{row.tasks:<10}{row.draws:>6}{row.passes:>8}{row.by_size:>7.3f}{row.by_worth:>7.3f}"
            f"{row.by_value:>9.3f}{row.gain:>+8.3f}{f'[{low:+.3f}, {high:+.3f}]':>18}"
            f"{row.right:>8.1%}{row.right_by_value:>9.1%}{row.right_gain:>+8.1%}"
            f"{f'[{under:+.1%}, {over:+.1%}]':>18}"
        )
    return lines
