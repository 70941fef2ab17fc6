"""When to stop drawing, on a bank, with tests given: pure computation over shuffled orders.

Every rule sees the same orders. *Uniform* draws N samples of every task. *Stops* ends a task at
its first pass, so it solves the very same tasks. *In waves* does that with several samples under
way, all of which are paid. A rule that gives up solves less; it is compared at its own solve
rate with both others, whose draws there are taken off their curves over N.

Repairs can't be replayed: what a model would answer to feedback is in no bank. So strategies that
repair are measured live only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from bench.search_bank import Recorded, of_part, read_bank
from bench.search_common import SearchOptions, Section

_ROUNDS = 1_000
_MARKS = (1, 2, 5, 10, 20, 50, 100)
_WAVES = (2, 4, 8)
_GIVE_UPS = ((5, 0.01), (10, 0.01), (10, 0.5), (20, 0.5), (20, 0.8), (50, 0.5), (50, 0.8))
"""Draws after which a task is given up whose best reward is lower."""

Order = Sequence[tuple[bool, float]]
Rule = Callable[[Order], tuple[int, bool]]
"""From a task's samples in their order to how many are drawn and whether one passes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One rule at one N.

    Attributes:
        rule: in words.
        n: samples a task at the most.
        solved: share of the tasks, over orders.
        draws: a task.
        uniform: times fewer draws than uniform best-of-N at the same solve rate.
        uniform_interval: 95 %, bootstrap over tasks.
        stops: the same against best-of-N that stops.
        stops_interval: of it.
    """

    rule: str
    n: int
    solved: float
    draws: float
    uniform: float
    uniform_interval: tuple[float, float]
    stops: float
    stops_interval: tuple[float, float]


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    bank = of_part(read_bank(asked), asked.part)
    orders = shuffled(bank, asked.orders, asked.seed)
    rows = measure(orders, asked.seed)
    return Section(_lines(rows, len(bank), asked.orders), [asdict(row) for row in rows])


def shuffled(bank: Sequence[Recorded], count: int, seed: int) -> list[list[Order]]:
    """So many orders of each task's samples."""
    found: list[list[Order]] = []
    for recorded, orders in zip(bank, shuffled_places(bank, count, seed), strict=True):
        samples = list(zip(recorded.right, recorded.rewards, strict=True))
        found.append([[samples[place] for place in order] for order in orders])
    return found


def shuffled_places(bank: Sequence[Recorded], count: int, seed: int) -> list[list[list[int]]]:
    """The same orders as places in the bank."""
    draw = random.Random(seed)
    found: list[list[list[int]]] = []
    for recorded in bank:
        places = range(len(recorded.right))
        found.append([draw.sample(places, len(places)) for _ in range(count)])
    return found


def measure(orders: Sequence[Sequence[Order]], seed: int) -> list[Row]:
    """All rules, each against uniform and against one that stops."""
    curve = Curve(orders)
    most = curve.most
    draw = random.Random(seed)
    # the same resampled tasks for every rule, so that rules are compared and not resamplings
    tasks = range(len(orders))
    samplings = [draw.choices(tasks, k=len(tasks)) for _ in range(_ROUNDS)]
    marks = [mark for mark in _MARKS if mark < most] + [most]
    rows = [
        _row(f"stops, N = {n}", n, _stops(n), orders, curve, samplings, same=True) for n in marks
    ]
    for wave in _WAVES:
        rule = _in_waves(_stops(most), wave, most)
        name = f"stops, in waves of {wave}"
        rows.append(_row(name, most, rule, orders, curve, samplings, same=True))
    for after, least in _GIVE_UPS:
        if after < most:
            rule = _gives_up(most, after, least)
            name = f"gives up after {after} with no reward from {least} up"
            rows.append(_row(name, most, rule, orders, curve, samplings))
    return rows


def _stops(n: int) -> Rule:
    def rule(order: Order) -> tuple[int, bool]:
        for number, (passed, _) in enumerate(order[:n], start=1):
            if passed:
                return number, True
        return n, False

    return rule


def _in_waves(rule: Rule, wave: int, n: int) -> Rule:
    def waves(order: Order) -> tuple[int, bool]:
        drawn, solved = rule(order)
        return min(n, -(-drawn // wave) * wave), solved

    return waves


def _gives_up(n: int, after: int, least: float) -> Rule:
    def rule(order: Order) -> tuple[int, bool]:
        best = 0.0
        for number, (passed, reward) in enumerate(order[:n], start=1):
            if passed:
                return number, True
            best = max(best, reward)
            if number == after and best < least:
                return number, False
        return n, False

    return rule


class Curve:
    """Solve rate and draws of best-of-N that stops, by task and N, as means over orders."""

    def __init__(self, orders: Sequence[Sequence[Order]]) -> None:
        self.most = most = min(len(order) for task in orders for order in task)
        self._solved: list[list[float]] = []
        self._draws: list[list[float]] = []
        for task in orders:
            firsts = [_stops(most)(order) for order in task]
            solved, draws, drawn = [0.0], [0.0], 0.0
            for n in range(1, most + 1):
                open_ones = sum(first >= n for first, _ in firsts) / len(firsts)
                drawn += open_ones
                draws.append(drawn)
                solved.append(sum(right and first <= n for first, right in firsts) / len(firsts))
            self._solved.append(solved)
            self._draws.append(draws)

    def at(self, solved: float, tasks: Sequence[int]) -> tuple[float, float]:
        """The N, and the draws with stops, at which so many of the tasks are solved."""
        low, high = 0, self.most  # the rate only rises with N
        while low < high:
            middle = (low + high) // 2
            if self._mean(self._solved, middle, tasks) >= solved - 1e-12:
                high = middle
            else:
                low = middle + 1
        if low == 0:
            return 0.0, 0.0
        below = self._mean(self._solved, low - 1, tasks)
        above = self._mean(self._solved, low, tasks)
        part = (solved - below) / (above - below) if above > below else 1.0
        before, after = (self._mean(self._draws, n, tasks) for n in (low - 1, low))
        return low - 1 + part, before + part * (after - before)

    def draws(self, n: int, tasks: Sequence[int]) -> float:
        """Draws a task at an N."""
        return self._mean(self._draws, n, tasks)

    @staticmethod
    def _mean(values: list[list[float]], n: int, tasks: Sequence[int]) -> float:
        return sum(values[task][n] for task in tasks) / len(tasks)


def _row(
    name: str,
    n: int,
    rule: Rule,
    orders: Sequence[Sequence[Order]],
    curve: Curve,
    samplings: Sequence[Sequence[int]],
    *,
    same: bool = False,
) -> Row:
    """One rule; with `same` it solves what uniform best-of-N solves, at that very N."""
    draws: list[float] = []
    solved: list[float] = []
    for task in orders:
        ends = [rule(order) for order in task]
        draws.append(sum(drawn for drawn, _ in ends) / len(ends))
        solved.append(sum(right for _, right in ends) / len(ends))

    def ratios(tasks: Sequence[int]) -> tuple[float, float]:
        spent = sum(draws[task] for task in tasks) / len(tasks)
        rate = sum(solved[task] for task in tasks) / len(tasks)
        uniform, stops = (float(n), curve.draws(n, tasks)) if same else curve.at(rate, tasks)
        return uniform / spent, stops / spent

    everything = range(len(orders))
    uniform, stops = ratios(everything)
    resampled = [ratios(tasks) for tasks in samplings]
    return Row(
        name,
        n,
        sum(solved) / len(solved),
        sum(draws) / len(draws),
        uniform,
        _interval([one for one, _ in resampled]),
        stops,
        _interval([one for _, one in resampled]),
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[int(0.025 * len(ordered))], ordered[int(0.975 * len(ordered))]


def _lines(rows: Sequence[Row], tasks: int, orders: int) -> list[str]:
    lines = [
        f"When to stop: {tasks} tasks of the bank, tests given, {orders} shuffled orders; how many",
        "times fewer draws, with 95 % intervals (bootstrap over tasks), at equal solve rate",
        "",
        f"{'solved':>7}{'draws':>8}{'than uniform':>22}{'than one that stops':>22}  rule",
    ]
    for row in rows:
        lines.append(
            f"{row.solved:>7.1%}{row.draws:>8.1f}"
            f"{_spread(row.uniform, row.uniform_interval):>22}"
            f"{_spread(row.stops, row.stops_interval):>22}  {row.rule}"
        )
    lines.append("Below 1.00 in the last column a rule does not pay.")
    return lines


def _spread(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"
