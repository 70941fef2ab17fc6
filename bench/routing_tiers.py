"""The router on a bank: fitted on one half of the tasks, reported on the other.

Weights and the chance at which a task is given up come from the first half alone, chosen as
`regreen calibrate` does. The full budget is 100 draws for each task; greedy is one. What counts is
the share of the full budget's gain in solve rate over greedy that the router reaches, and the share
of its draws that it takes to get there. The router stops at a first pass; so best-of-N that stops
is shown beside it. Intervals are paired bootstraps over the tasks of each row.

With `--free-edits N` the same ways are shown once more, where up to N edits of each promising
failure are tried before the next draw (`bench.routing_edits`). An edit is no draw and asks no
model; what they cost in the sandbox is shown. Gains stay in terms of draws without edits.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from agent.routing.calibrating import choose
from agent.routing.fitting import Recorded
from agent.routing.profile import Profile
from agent.routing.route import Difficulty
from agent.routing.simulation import Walk, routed, shuffled_alike, stopping, walks
from bench.routing_bank import halves, read_recorded
from bench.routing_edits import Edited, mended, read_edited
from bench.search_common import SearchOptions, Section

ROUNDS = 2_000
_GAIN = 0.9
_STOPS = (10, 20, 45, 50, 100)


@dataclass(frozen=True, slots=True)
class Row:
    """One way to spend, on one set of tasks.

    Attributes:
        tasks: `fitted`, `untouched`, `all`, or `crossed`: each half by a fit to the other.
        way: in words.
        solved: share of the tasks.
        draws: a task.
        gain: of the full budget's gain over one draw.
        gain_interval: 95 %, bootstrap over tasks.
        share: of the full budget's draws.
        share_interval: likewise.
    """

    tasks: str
    way: str
    solved: float
    draws: float
    gain: float
    gain_interval: tuple[float, float]
    share: float
    share_interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tier:
    """The tasks that end in a tier.

    Attributes:
        tier: by name.
        share: of the tasks.
        solved: of them.
        draws: a task.
    """

    tier: str
    share: float
    solved: float
    draws: float


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    recorded = read_recorded(asked)
    first, second = halves(recorded, asked.seed)
    plain = _Fits(first, second, asked)
    rows, tiers = _measured(plain, plain, asked)
    lines = _lines(rows, tiers, plain.profile, asked)
    data = {
        "profile": plain.profile.model_dump(mode="json"),
        "rows": [asdict(row) for row in rows],
        "tiers": [asdict(tier) for tier in tiers],
    }
    if asked.free_edits:
        edited = dict(
            zip((one.task_id for one in recorded), read_edited(recorded, asked), strict=True)
        )
        n = asked.free_edits
        again = _Fits(
            [mended(one, edited[one.task_id], n) for one in first],
            [mended(one, edited[one.task_id], n) for one in second],
            asked,
        )
        rows, tiers = _measured(again, plain, asked)
        lines += ["", f"With up to {n} free edits of each promising failure:", ""]
        lines += _lines(rows, tiers, again.profile, asked)[3:]
        lines += _cost(again, edited, asked)
        data["edited"] = {
            "edits": n,
            "profile": again.profile.model_dump(mode="json"),
            "rows": [asdict(row) for row in rows],
            "tiers": [asdict(tier) for tier in tiers],
        }
    return Section(lines, data)


Way = Callable[[Walk], tuple[int, bool]]
Walked = Sequence[Sequence[Walk]]
"""Tasks in their orders."""


class _Fits:
    """Both halves with a profile fitted to each."""

    def __init__(
        self, first: Sequence[Recorded], second: Sequence[Recorded], asked: SearchOptions
    ) -> None:
        self.first, self.second = first, second
        self.profile, self.other = (
            choose(half, gain=_GAIN, orders=asked.orders, seed=asked.seed)
            for half in (first, second)
        )

    def parts(self, name: str) -> list[tuple[Sequence[Recorded], Profile]]:
        """The tasks of a row's name, and what they are routed by."""
        return {
            "fitted": [(self.first, self.profile)],
            "untouched": [(self.second, self.profile)],
            "all": [(self.first, self.profile), (self.second, self.profile)],
            "crossed": [(self.first, self.other), (self.second, self.profile)],
        }[name]


def _measured(fits: _Fits, plain: _Fits, asked: SearchOptions) -> tuple[list[Row], list[Tier]]:
    """All rows; gains are of what `plain`, the draws as they are, come to."""
    rows: list[Row] = []
    tiers: list[Tier] = []
    for name in ("fitted", "untouched", "all", "crossed"):
        parts = [(_walked(tasks, by, asked), by) for tasks, by in fits.parts(name)]
        base = [one for tasks, by in plain.parts(name) for one in _walked(tasks, by, asked)]
        rows += _rows(name, parts, base, asked.seed)
        tiers = _tiers(parts)
    return rows, tiers


def _walked(tasks: Sequence[Recorded], by: Profile, asked: SearchOptions) -> Walked:
    return walks(tasks, by.weights, orders=asked.orders, seed=asked.seed)


def _router(profile: Profile, most: int) -> Way:
    def way(one: Walk) -> tuple[int, bool]:
        spent = routed(one, profile, most)
        return spent.draws, spent.solved

    return way


def _rows(name: str, parts: Sequence[tuple[Walked, Profile]], base: Walked, seed: int) -> list[Row]:
    walked = [task for tasks, _ in parts for task in tasks]
    most = min(one.size for task in walked for one in task)
    full = _means(base, lambda one: (most, one.first is not None))
    greedy = _means(base, lambda one: stopping(one, 1))
    ways: list[tuple[str, list[tuple[float, float]]]] = [
        ("one draw", _means(walked, lambda one: stopping(one, 1))),
        (f"{most} draws each", _means(walked, lambda one: (most, one.first is not None))),
        *(
            (f"best of {n} that stops", _means(walked, partial(stopping, n=n)))
            for n in _STOPS
            if n <= most
        ),
        (
            "router",
            [mean for tasks, profile in parts for mean in _means(tasks, _router(profile, most))],
        ),
    ]
    lot = random.Random(seed)
    tasks = range(len(walked))
    samplings = [lot.choices(tasks, k=len(tasks)) for _ in range(ROUNDS)]
    return [_row(name, way, found, greedy, full, samplings) for way, found in ways]


def _means(walked: Sequence[Sequence[Walk]], way: Way) -> list[tuple[float, float]]:
    """Draws and solve rate of each task, over its orders."""
    found: list[tuple[float, float]] = []
    for orders in walked:
        ends = [way(one) for one in orders]
        found.append(
            (sum(d for d, _ in ends) / len(ends), sum(solved for _, solved in ends) / len(ends))
        )
    return found


def _row(
    name: str,
    way: str,
    found: Sequence[tuple[float, float]],
    greedy: Sequence[tuple[float, float]],
    full: Sequence[tuple[float, float]],
    samplings: Sequence[Sequence[int]],
) -> Row:
    def shares(tasks: Sequence[int]) -> tuple[float, float]:
        low, high, mine = (sum(one[task][1] for task in tasks) for one in (greedy, full, found))
        draws = sum(found[task][0] for task in tasks) / sum(full[task][0] for task in tasks)
        return (mine - low) / (high - low) if high > low else 0.0, draws

    gain, share = shares(range(len(found)))
    again = [shares(tasks) for tasks in samplings]
    return Row(
        name,
        way,
        sum(solved for _, solved in found) / len(found),
        sum(draws for draws, _ in found) / len(found),
        gain,
        interval([one for one, _ in again]),
        share,
        interval([one for _, one in again]),
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of bootstrapped values."""
    ordered = sorted(values)
    return ordered[int(0.025 * len(ordered))], ordered[int(0.975 * len(ordered))]


def _cost(fits: _Fits, edited: Mapping[str, Sequence[Edited]], asked: SearchOptions) -> list[str]:
    """What the router's edits come to in the sandbox, crossed."""
    tried, seconds, tasks = 0, 0.0, 0
    for recorded, by in fits.parts("crossed"):
        for one, orders in zip(recorded, _walked(recorded, by, asked), strict=True):
            tasks += len(orders)
            for number, walked in enumerate(orders):
                spent = routed(walked, by, walked.size)
                order = shuffled_alike(one, edited[one.task_id], number, asked.seed)
                for edits in order[: spent.draws]:
                    count, took = edits.cost(asked.free_edits)
                    tried, seconds = tried + count, seconds + took
    return [
        f"  the router's edits: {tried / tasks:.1f} judged a task, {seconds / tasks:.2f} s of the"
        " sandbox, no token"
    ]


def _tiers(parts: Sequence[tuple[Walked, Profile]]) -> list[Tier]:
    ends = [
        routed(one, profile, one.size) for tasks, profile in parts for task in tasks for one in task
    ]
    count = Counter(end.tier for end in ends)
    return [
        Tier(
            str(tier),
            count[tier] / len(ends),
            sum(end.solved for end in ends if end.tier is tier) / count[tier],
            sum(end.draws for end in ends if end.tier is tier) / count[tier],
        )
        for tier in Difficulty
        if count[tier]
    ]


def _lines(
    rows: Sequence[Row], tiers: Sequence[Tier], profile: Profile, asked: SearchOptions
) -> list[str]:
    lines = [
        f"The router, fitted on half of the bank's tasks, {asked.orders} orders, tests given;",
        "gain: of what the full budget solves beyond one draw; 95 % intervals over tasks",
        "",
        f"{'tasks':<10}{'solved':>7}{'draws':>8}{'gain':>24}{'share of draws':>24}  way",
    ]
    for row in rows:
        lines.append(
            f"{row.tasks:<10}{row.solved:>7.1%}{row.draws:>8.2f}"
            f"{_percent(row.gain, row.gain_interval):>24}"
            f"{_percent(row.share, row.share_interval):>24}  {row.way}"
        )
    lines += ["", "Tiers in which tasks end, crossed:"]
    for tier in tiers:
        lines.append(
            f"  {tier.tier:<10}{tier.share:>6.1%} of the tasks, {tier.solved:.1%} of them solved,"
            f" {tier.draws:.1f} draws each"
        )
    floors = ", ".join(f"{plan.chance:g}" for plan in profile.tiers.all)
    lines.append(f"  chances from which on: {floors}")
    return lines


def _percent(value: float, spread: tuple[float, float]) -> str:
    return f"{value:.1%} [{spread[0]:.1%}, {spread[1]:.1%}]"
