"""Cascades over recorded models: every order, its calls, and when it is the cheaper way.

The loop, the strategy and the verifier are those of a real run; only the models are recorded. All
tests are given, so a pass is a solved task.

The break-even of a cascade: if each token of the cheaper models costs this share of a token of the
strongest, the cascade costs as much as the strongest alone. Below it, it saves money.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import anyio

from agent.accounts import table
from agent.llm.prices import Price
from agent.llm.replay import ReplayModel, read_keys
from agent.search.best_of_n import BestOfN
from agent.search.cascade import Cascade, Stage
from agent.session import Bench, open_bench
from agent.tiers import Tier
from bench.search_common import MissingDataError, Searched, SearchOptions, Section, search_all
from tasks import load_suite
from tasks.model import Task

_IN_FRONT = (1, 5, 10, 20)
"""Samples of the weaker bank that are drawn before a stronger model is asked."""


@dataclass(frozen=True, slots=True)
class Row:
    """One cascade.

    Attributes:
        order: the models, first to last.
        samples: of each at the most.
        solved: tasks.
        calls: to each model, as a share of the tasks.
        tokens: of each model, in and out, a task; estimated from texts.
        break_even: see the module; `None` for a model alone.
        dollars: a task; `None` without prices for all.
    """

    order: tuple[str, ...]
    samples: tuple[int, ...]
    solved: int
    calls: tuple[float, ...]
    tokens: tuple[float, ...]
    break_even: float | None
    dollars: float | None


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no recorded models were given.
    """
    if asked.models is None or not asked.models.is_file():
        raise MissingDataError("give the recorded models with --models FILE")
    rows, tasks = anyio.run(_rows, asked, asked.models)
    return Section(_lines(rows, tasks), {"tasks": tasks, "rows": [asdict(row) for row in rows]})


async def _rows(asked: SearchOptions, path: Path) -> tuple[list[Row], int]:
    keys = read_keys(path)
    names = tuple(dict.fromkeys(model for _, model in keys))
    tasks = [task for task in load_suite("humaneval") if task.id in {name for name, _ in keys}]
    recorded = {name: ReplayModel(f"{path}#model={name}") for name in names}
    async with open_bench(asked.settings(), tasks) as bench:
        measure = _Measure(tasks, bench, asked, recorded)
        alone = [await measure.row((name,), (1,)) for name in names]
        order = [row.order[0] for row in sorted(alone, key=lambda row: row.solved)]
        rows = [row for name in order for row in alone if row.order == (name,)]
        for size in range(2, len(order) + 1):
            for chosen in itertools.permutations(order, size):
                rows.append(await measure.row(chosen, (1,) * size))
        if asked.bank is not None:
            recorded["bank"] = ReplayModel(str(asked.bank))
            for count in _IN_FRONT:
                rows.append(await measure.row(("bank",), (count,)))
                for start in range(len(order)):
                    chosen = ("bank", *order[start:])
                    rows.append(await measure.row(chosen, (count, *(1,) * len(order[start:]))))
    return rows, len(tasks)


class _Measure:
    """Runs cascades over the same tasks and sandbox."""

    def __init__(
        self,
        tasks: Sequence[Task],
        bench: Bench,
        asked: SearchOptions,
        recorded: dict[str, ReplayModel],
    ) -> None:
        self._tasks, self._bench, self._asked = tasks, bench, asked
        self._recorded = recorded
        self._alone: dict[str, float] = {}

    async def row(self, order: tuple[str, ...], samples: tuple[int, ...]) -> Row:
        """One cascade over all tasks."""
        build = lru_cache(maxsize=None)(lambda count: BestOfN(n=count))
        stages = tuple(Stage(count, build) for count in samples)
        tiers = [Tier(self._recorded[name], self._price(name)) for name in order]
        found = await search_all(
            self._tasks,
            Cascade(stages=stages),
            tiers,
            self._bench,
            at_a_time=self._bench.sandbox.slots + 1,
        )
        return self._as_row(order, samples, found)

    def _price(self, name: str) -> Price | None:
        given = self._asked.prices.get(name)
        return Price(input=given[0], output=given[1]) if given else None

    def _as_row(self, order: tuple[str, ...], samples: tuple[int, ...], found: Searched) -> Row:
        number = len(self._tasks)
        spent = {entry.tier: entry for entry in table(found.ledger.entries, ("tier",))}
        calls = [spent[tier].samples if tier in spent else 0 for tier in range(len(order))]
        tokens = [
            (spent[tier].tokens_in + spent[tier].tokens_out) / number if tier in spent else 0.0
            for tier in range(len(order))
        ]
        if len(order) == 1 and samples == (1,):
            self._alone[order[0]] = tokens[0]
        priced = all(self._price(name) for name in order)
        return Row(
            order,
            samples,
            len(found.solved),
            tuple(count / number for count in calls),
            tuple(tokens),
            self._break_even(order, tokens),
            found.ledger.spent.cost / number if priced else None,
        )

    def _break_even(self, order: tuple[str, ...], tokens: Sequence[float]) -> float | None:
        if len(order) == 1:
            return None
        saved = self._alone[order[-1]] - tokens[-1]
        return saved / sum(tokens[:-1])


def _lines(rows: Sequence[Row], tasks: int) -> list[str]:
    strongest = max(row.solved for row in rows if len(row.order) == 1 and row.order != ("bank",))
    best = next(row.order[0] for row in rows if len(row.order) == 1 and row.solved == strongest)
    lines = [
        f"Cascades over recorded models, {tasks} HumanEval tasks, tests given.",
        f"The strongest alone is {best}: {strongest} solved with one call a task.",
        "calls: to each model, % of the tasks. break-even: price of a token of the cheaper models,",
        "as a share of the last one's, at which the cascade costs as much as the last one alone.",
        "",
        f"{'solved':>6}  {'last called':>11}  {'break-even':>10}  {'$/task':>9}  cascade",
    ]
    for row in rows:
        chain = " > ".join(
            f"{name}{f' x{count}' if count > 1 else ''} {call:.0%}"
            for name, count, call in zip(row.order, row.samples, row.calls, strict=True)
        )
        even = "" if row.break_even is None else f"{row.break_even:.2f}"
        money = "" if row.dollars is None else f"{row.dollars:.6f}"
        lines.append(f"{row.solved:>6}  {row.calls[-1]:>11.1%}  {even:>10}  {money:>9}  {chain}")
    return lines
