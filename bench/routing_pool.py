"""A pooled budget on a bank: fitted on one half of the tasks, reported on the other.

How many draws it takes to solve as many tasks as best-of-N that stops at a first pass: curves of
solved tasks over draws, as means over shuffled orders, so that none of them stops by luck right
after a pass. Beside it: taking turns, one draw for each open task; an oracle that knows each
task's share of samples that pass; one that knows which tasks can be solved at all; and two simpler
indices, the highest partial pass rate and the share of failures with behaviours of their own.
Intervals are paired bootstraps over the tasks.

With `--free-edits N` all of it once more, where up to N edits of each promising failure are tried
before the next draw (`bench.routing_edits`), still against best-of-N without edits; taking turns is
then what the edits do by themselves.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from agent.routing.chance import Weights
from agent.routing.fitting import Recorded, fit_weights, histories
from agent.routing.simulation import (
    Index,
    Walk,
    by_chance,
    dealt,
    in_turn,
    shuffled,
    stopping,
    walks,
)
from bench.routing_bank import halves, read_recorded
from bench.routing_edits import mended, read_edited
from bench.routing_tiers import interval
from bench.search_common import SearchOptions, Section

_NS = (10, 20, 50)
_ROUNDS = 200
"""Bootstrap rounds; each deals everything out again."""
_BOOTSTRAP_ORDERS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One index at the solve rate of one N, on one set of tasks.

    Attributes:
        tasks: `fitted`, `untouched`, `all`, or `crossed`: each half by a fit to the other.
        index: in words.
        n: of best-of-N that stops.
        solved: share of the tasks.
        stops: draws a task of best-of-N that stops.
        pooled: draws a task of the pool.
        fewer: how many times fewer.
        interval: 95 %, bootstrap over tasks; `None` where it was not computed.
    """

    tasks: str
    index: str
    n: int
    solved: float
    stops: float
    pooled: float
    fewer: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Dealing:
    """One task in one order, with all that some index may want to know.

    Attributes:
        walk: its chances, edits included where there are any.
        plain: likewise without edits; what best-of-N draws.
        share: of its samples that pass.
        best: highest reward before each draw.
        diversity: share of failures with behaviours of their own before each draw.
    """

    walk: Walk
    plain: Walk
    share: float
    best: tuple[float, ...]
    diversity: tuple[float, ...]


Indices = Callable[[Sequence[Dealing]], Index]
INDICES: dict[str, Indices] = {
    "taking turns": lambda ones: in_turn,
    "chance (the pool)": lambda ones: by_chance([one.walk for one in ones]),
    "highest partial pass rate": lambda ones: lambda task, k: ones[task].best[k] - 1e-3 * k,
    "most diverse failures": lambda ones: lambda task, k: ones[task].diversity[k] - 1e-3 * k,
    "oracle: can be solved": lambda ones: lambda task, k: 1e6 * (ones[task].share > 0) - k,
    "oracle: share that passes": lambda ones: lambda task, k: ones[task].share,
}
_WITH_INTERVAL = ("taking turns", "chance (the pool)")


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    recorded = read_recorded(asked)
    plain = {one.task_id: one for one in recorded}
    halved = halves(recorded, asked.seed)
    weights, rows = _measured(halved, plain, asked)
    data = {"weights": weights.model_dump(), "rows": [asdict(row) for row in rows]}
    lines = _lines(rows, asked)
    if asked.free_edits:
        edits = zip(recorded, read_edited(recorded, asked), strict=True)
        again = {one.task_id: mended(one, found, asked.free_edits) for one, found in edits}
        first, second = ([again[one.task_id] for one in half] for half in halved)
        _, rows = _measured((first, second), plain, asked)
        data["edited"] = {"edits": asked.free_edits, "rows": [asdict(row) for row in rows]}
        lines += ["", f"With up to {asked.free_edits} free edits of each promising failure:", ""]
        lines += _lines(rows, asked)[3:]
    return Section(lines, data)


def _measured(
    halved: tuple[Sequence[Recorded], Sequence[Recorded]],
    plain: Mapping[str, Recorded],
    asked: SearchOptions,
) -> tuple[Weights, list[Row]]:
    first, second = halved
    weights, other = (fit_weights(half, seed=asked.seed) for half in halved)

    def table(tasks: Sequence[Recorded], by: Weights) -> list[list[Dealing]]:
        walked = walks(tasks, by, orders=asked.orders, seed=asked.seed)
        drawn = [plain[one.task_id] for one in tasks]
        without = walks(drawn, by, orders=asked.orders, seed=asked.seed)
        return [
            _dealings(one, orders, as_drawn, asked.seed)
            for one, orders, as_drawn in zip(tasks, walked, without, strict=True)
        ]

    seen, unseen = table(first, weights), table(second, weights)
    rows = measure("fitted", seen, asked.seed)
    rows += measure("untouched", unseen, asked.seed)
    rows += measure("all", [*seen, *unseen], asked.seed)
    rows += measure("crossed", [*table(first, other), *unseen], asked.seed)
    return weights, rows


def _dealings(
    recorded: Recorded, orders: Sequence[Walk], plain: Sequence[Walk], seed: int
) -> list[Dealing]:
    found: list[Dealing] = []
    share = sum(draw.passed for draw in recorded.draws) / len(recorded.draws)
    for number, (walked, as_drawn) in enumerate(zip(orders, plain, strict=True)):
        known = histories(shuffled(recorded, number, seed))
        found.append(
            Dealing(
                walked,
                as_drawn,
                share,
                tuple(one.best for one in known),
                tuple((one.behaviours + 1) / (one.count + 1) for one in known),
            )
        )
    return found


def measure(name: str, table: Sequence[Sequence[Dealing]], seed: int) -> list[Row]:
    """Every index at every N."""
    lot = random.Random(seed)
    everything = list(range(len(table)))
    samplings = [lot.choices(everything, k=len(everything)) for _ in range(_ROUNDS)]
    rows: list[Row] = []
    for index, make in INDICES.items():
        exact = _compare(table, everything, make, orders=len(table[0]))
        again = []
        if index in _WITH_INTERVAL and name in ("untouched", "crossed"):
            few = min(_BOOTSTRAP_ORDERS, len(table[0]))
            again = [_compare(table, tasks, make, orders=few) for tasks in samplings]
        for place, (n, solved, stops, pooled) in enumerate(exact):
            spread = interval([one[place][2] / one[place][3] for one in again]) if again else None
            rows.append(Row(name, index, n, solved, stops, pooled, stops / pooled, spread))
    return rows


def _compare(
    table: Sequence[Sequence[Dealing]], tasks: Sequence[int], make: Indices, *, orders: int
) -> list[tuple[int, float, float, float]]:
    """For each N: the solve rate, and draws a task of best-of-N that stops and of the pool."""
    size = sum(table[task][0].walk.size for task in tasks)
    curve = [0.0] * (size + 1)
    ends = {n: [0.0, 0.0] for n in _NS}
    for order in range(orders):
        ones = [table[task][order] for task in tasks]
        after = dealt([one.walk for one in ones], make(ones))
        for place in range(size):
            curve[place + 1] += after[min(place, len(after) - 1)] / orders
        for n, sums in ends.items():
            for one in ones:
                draws, solved = stopping(one.plain, n)
                sums[0] += solved / orders
                sums[1] += draws / orders
    count = len(tasks)
    return [
        (n, solved / count, draws / count, needed(curve, solved) / count)
        for n, (solved, draws) in ends.items()
    ]


def needed(curve: Sequence[float], solved: float) -> float:
    """The draws at which a rising curve reaches so many solved tasks."""
    place = bisect_left(curve, solved - 1e-9)
    if place == 0:
        return 0.0
    if place == len(curve):
        return float(len(curve) - 1)
    below, above = curve[place - 1], curve[place]
    return place - 1 + (solved - below) / (above - below)


def _lines(rows: Sequence[Row], asked: SearchOptions) -> list[str]:
    lines = [
        f"A pooled budget, fitted on half of the bank's tasks, {asked.orders} orders, tests given:",
        "how many times fewer draws than best-of-N that stops, at its solve rate",
        "",
        f"{'tasks':<10}{'N':>4}{'solved':>8}{'stops':>8}{'pooled':>8}{'fewer':>20}  index",
    ]
    for row in rows:
        low_high = (
            "" if row.interval is None else f" [{row.interval[0]:.2f}, {row.interval[1]:.2f}]"
        )
        lines.append(
            f"{row.tasks:<10}{row.n:>4}{row.solved:>8.1%}{row.stops:>8.2f}{row.pooled:>8.2f}"
            f"{f'{row.fewer:.2f}{low_high}':>20}  {row.index}"
        )
    return lines
