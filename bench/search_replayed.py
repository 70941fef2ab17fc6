"""Strategies in the real loop over a bank, tests given, that draw nothing but fresh samples.

What a model would answer to feedback is in no bank, so only such strategies can be replayed as
they are: best-of-N that stops, and the same with free edits of whatever is promising, which ask no
model. Each task has the same order of samples for all. A row says what is solved and drawn, and how
many times fewer draws that is than uniform best-of-N needs for as much, and than best-of-N that
stops; the draws of both are taken off their curves over N, as means over orders.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from agent.budget import Budget, Ledger
from agent.llm.replay import ReplayModel
from agent.loop import Confirm, Searcher
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy
from agent.session import Bench, open_bench
from bench.search_bank import Recorded, of_part, read_bank
from bench.search_common import SearchOptions, Section, report
from bench.search_stopping import Curve, shuffled

_SAMPLES = 10
_EDITS = (0, 10, 25, 50)
_ROUNDS = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """Best-of-N with so many free edits of each promising program.

    Attributes:
        edits: of each at the most; 0 for none.
        solved: share of the tasks.
        draws: a task.
        edited: edits judged, a task.
        seconds: of the sandbox, a task.
        uniform: times fewer draws than uniform best-of-N at as many solved.
        uniform_interval: 95 %, bootstrap over tasks.
        stops: the same against best-of-N that stops.
        stops_interval: of it.
    """

    edits: int
    solved: float
    draws: float
    edited: float
    seconds: float
    uniform: float
    uniform_interval: tuple[float, float]
    stops: float
    stops_interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _End:
    """One search."""

    solved: bool
    draws: int
    edited: int
    seconds: float


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    whole = of_part(read_bank(asked), asked.part)
    bank = whole[:: max(1, len(whole) // asked.tasks)][: asked.tasks]
    assert asked.bank is not None
    ends = anyio.run(_searched, asked, asked.bank, bank)
    curve = Curve(shuffled(bank, asked.orders, asked.seed))
    draw = random.Random(asked.seed)
    tasks = range(len(bank))
    samplings = [draw.choices(tasks, k=len(tasks)) for _ in range(_ROUNDS)]
    rows = [_row(edits, found, curve, samplings) for edits, found in ends.items()]
    return Section(_lines(rows, len(bank)), [asdict(row) for row in rows])


async def _searched(
    asked: SearchOptions, path: Path, bank: Sequence[Recorded]
) -> dict[int, list[_End]]:
    found: dict[int, list[_End]] = {}
    tasks = [recorded.task for recorded in bank]
    model = ReplayModel(str(path), shuffle_seed=asked.seed)
    async with open_bench(asked.settings(cache=False), tasks) as bench:
        for edits in _EDITS:
            report(f"{len(bank)} tasks, N = {_SAMPLES}, {edits} edits")
            ends: dict[int, _End] = {}
            waiting = list(enumerate(bank))[::-1]

            async def worker() -> None:
                while waiting:  # noqa: B023
                    number, recorded = waiting.pop()  # noqa: B023
                    one = await _search(model, recorded, bench, edits)  # noqa: B023
                    ends[number] = one  # noqa: B023

            async with anyio.create_task_group() as group:
                for _ in range(bench.sandbox.slots + 1):
                    group.start_soon(worker)
            found[edits] = [ends[number] for number in range(len(bank))]
    return found


async def _search(model: ReplayModel, recorded: Recorded, bench: Bench, edits: int) -> _End:
    searcher = Searcher(
        model=model,
        verifier=bench.verifier,
        strategy=create_strategy("best-of-n", StrategyOptions(n=_SAMPLES, edits=edits)),
        ledger=Ledger(Budget()),
        concurrency=1,
        confirm=Confirm.NONE,
    )
    result = await searcher.search(recorded.task.given())
    edited = sum(one.kind == "edit" for one in result.candidates)
    spent = searcher.ledger.spent
    return _End(result.passed, spent.samples, edited, spent.sandbox_seconds)


def _row(edits: int, ends: Sequence[_End], curve: Curve, samplings: Sequence[Sequence[int]]) -> Row:
    def ratios(tasks: Sequence[int]) -> tuple[float, float]:
        rate = sum(ends[task].solved for task in tasks) / len(tasks)
        drawn = sum(ends[task].draws for task in tasks) / len(tasks)
        uniform, stops = curve.at(rate, tasks)
        return uniform / drawn, stops / drawn

    count = len(ends)
    uniform, stops = ratios(range(count))
    resampled = [ratios(tasks) for tasks in samplings]
    intervals = []
    for column in zip(*resampled, strict=True):
        ordered = sorted(column)
        intervals.append((ordered[int(0.025 * _ROUNDS)], ordered[int(0.975 * _ROUNDS)]))
    return Row(
        edits,
        sum(one.solved for one in ends) / count,
        sum(one.draws for one in ends) / count,
        sum(one.edited for one in ends) / count,
        sum(one.seconds for one in ends) / count,
        uniform,
        intervals[0],
        stops,
        intervals[1],
    )


def _lines(rows: Sequence[Row], tasks: int) -> list[str]:
    lines = [
        f"Best-of-{_SAMPLES} in the real loop over the bank, with free edits and without: {tasks}"
        " tasks, tests given,",
        "one order; times fewer draws at equal solve rate, with 95 % intervals",
        "",
        f"{'edits':>5}{'solved':>8}{'draws':>7}{'edited':>8}{'sandbox s':>11}"
        f"{'than uniform':>22}{'than one that stops':>22}",
    ]
    for row in rows:
        low, high = row.uniform_interval
        least, most = row.stops_interval
        lines.append(
            f"{row.edits:>5}{row.solved:>8.1%}{row.draws:>7.1f}{row.edited:>8.1f}"
            f"{row.seconds:>11.2f}{f'{row.uniform:.2f} [{low:.2f}, {high:.2f}]':>22}"
            f"{f'{row.stops:.2f} [{least:.2f}, {most:.2f}]':>22}"
        )
    return lines
