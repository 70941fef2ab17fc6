"""What the sections of the search benchmark share: options, results, and running many searches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from agent import events
from agent.budget import Budget, Ledger
from agent.drawing import Sampling
from agent.loop import Confirm, Searcher
from agent.results import SearchResult
from agent.search.base import Strategy
from agent.session import Bench
from agent.settings import Settings
from agent.tiers import Tier
from tasks.model import Task


class MissingDataError(Exception):
    """A section needs a file that was not given. One line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What was asked for.

    Attributes:
        sections: by name.
        json: one JSON object in place of tables.
        models: one solution a task from each of several models.
        bank: many samples a task from one weaker model.
        verdicts: where the bank's verdicts by all tests are kept; `None` for a file in the cache.
        belief: where to write what the section on agreement has fitted; `None` for nowhere.
        reward: where to write what the section on the learned reward has learned; `None` for
            nowhere.
        model: of the live sections.
        tasks: HumanEval tasks of the live sections.
        samples: a task, where early stops are compared live.
        max_tokens: of such a sample.
        tokens: generated a task, in the live section.
        runs: folder of the live section's runs, which go on there; `None` for the usual one.
        strategies: of the live section; empty for all.
        sandbox: by name.
        slots: programs at a time; `None` for as many as suit the machine.
        prices: dollars per million tokens in and out, by model.
        seed: of all that is drawn by lot.
        orders: shuffled orders of a bank.
        candidates: failing programs that are edited; in other sections, programs at a time.
        edits: of each of them at the most.
        free_edits: in the sections on routing, of each promising failure; 0 for none.
        part: the bank's tasks with even numbers, with odd ones, or all.
        all_edits: go on after an edit that passes, to learn what each kind of edit is worth.
    """

    sections: tuple[str, ...]
    json: bool = False
    models: Path | None = None
    bank: Path | None = None
    verdicts: Path | None = None
    belief: Path | None = None
    reward: Path | None = None
    model: str = "local/smollm2-135m"
    tasks: int = 30
    samples: int = 2
    max_tokens: int = 256
    tokens: int = 1000
    runs: Path | None = None
    strategies: tuple[str, ...] = ()
    sandbox: str = "auto"
    slots: int | None = None
    prices: dict[str, tuple[float, float]] = field(default_factory=dict)
    seed: int = 0
    orders: int = 200
    candidates: int = 300
    edits: int = 200
    free_edits: int = 0
    part: str = "all"
    all_edits: bool = False

    def settings(self, **more: object) -> Settings:
        """Settings that are the same on every machine, whatever its environment says."""
        given = {"sandbox": self.sandbox, "slots": self.slots, "confirm": False, **more}
        return Settings(**given)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Section:
    """What a section found: lines for people, and the same as data."""

    lines: Sequence[str]
    data: object


@dataclass(slots=True)
class Searched:
    """Many searches with one strategy: what came of each, and what all of them cost."""

    results: dict[str, SearchResult]
    ledger: Ledger

    @property
    def solved(self) -> frozenset[str]:
        """The tasks with a program that passes."""
        return frozenset(name for name, one in self.results.items() if one.passed)


async def search_all(
    tasks: Sequence[Task],
    strategy: Strategy[Any],
    tiers: Sequence[Tier],
    bench: Bench,
    *,
    sampling: Sampling | None = None,
    at_a_time: int = 1,
    listener: events.Listener = events.ignore,
) -> Searched:
    """Searches for each task, tests given, without second verdicts."""
    searched = Searched({}, Ledger(Budget()))
    waiting = list(reversed(tasks))

    async def worker() -> None:
        while waiting:
            task = waiting.pop()
            searcher = Searcher(
                model=tiers[0].model,
                price=tiers[0].price,
                stronger=tuple(tiers[1:]),
                verifier=bench.verifier,
                strategy=strategy,
                ledger=Ledger(Budget(), searched.ledger),
                sampling=sampling or Sampling(),
                concurrency=1,
                confirm=Confirm.NONE,
                listener=listener,
            )
            searched.results[task.id] = await searcher.search(task.given())

    async with anyio.create_task_group() as group:
        for _ in range(at_a_time):
            group.start_soon(worker)
    return searched


def report(line: str) -> None:
    """Says on standard error how far things are."""
    print(line, file=sys.stderr, flush=True)
