"""The controller's own cpu a candidate, with 200 candidates in flight.

A bank answers in place of a model, after half a second of waiting and no work, so that as many
samples as allowed are really under way. All else is what a run has: the loop, the ledger, a
journal on disk, extraction, the syntax gate, twins, and the local sandbox, in which every
program runs. What runs there are other processes; counted is the cpu time of this process alone,
all of its threads.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from agent.budget import Budget, Ledger
from agent.journal import Journal
from agent.llm.base import Completion, ModelRequest
from agent.llm.replay import ReplayModel
from agent.loop import Confirm, Searcher
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy
from agent.session import Bench, open_bench
from bench.search_common import MissingDataError, SearchOptions, Section
from tasks import load_suite
from tasks.model import Task

_IN_FLIGHT = 200
_SAMPLES = 50
_AT_A_TIME = 8
"""Tasks; each has its share of what is in flight."""
_WAIT = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """What the controller needed.

    Attributes:
        candidates: that were told to a strategy.
        most_in_flight: samples that were really under way at a time: asked for, or being judged.
        cpu_ms: of this process, a candidate.
        seconds: of wall time.
    """

    candidates: int
    most_in_flight: int
    cpu_ms: float
    seconds: float


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    if asked.bank is None or not asked.bank.is_file():
        raise MissingDataError("give a bank of recorded samples with --bank FILE")
    row = anyio.run(_measured, asked, asked.bank)
    lines = [
        f"The controller's own cpu: {row.cpu_ms:.2f} ms a candidate, {row.candidates} candidates,",
        f"{row.most_in_flight} in flight at the most, {row.seconds:.1f} s in all.",
    ]
    return Section(lines, asdict(row))


class _Slow:
    """A bank that lets one wait, and counts what is under way."""

    def __init__(self, bank: ReplayModel) -> None:
        self._bank = bank
        self.under_way = 0
        self.most = 0

    @property
    def name(self) -> str:
        """The bank's."""
        return self._bank.name

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        """The recorded sample, after a while."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await anyio.sleep(_WAIT)
            return await self._bank.complete(request)
        finally:
            self.under_way -= 1

    async def aclose(self) -> None:
        """Closes the bank."""
        await self._bank.aclose()


async def _measured(asked: SearchOptions, path: Path) -> Row:
    tasks = list(load_suite("humaneval"))[: asked.tasks]
    model = _Slow(ReplayModel(str(path)))
    settings = asked.settings(cache=False)
    async with open_bench(settings, tasks) as bench:
        with tempfile.TemporaryDirectory() as folder:
            await _search(tasks[:1], model, bench, Path(folder) / "first")  # reads the bank
            model.most = 0
            gc.collect()
            began, cpu = time.monotonic(), time.process_time()
            told = await _search(tasks, model, bench, Path(folder) / "run")
            cpu, seconds = time.process_time() - cpu, time.monotonic() - began
    return Row(told, model.most, 1000 * cpu / told, seconds)


async def _search(tasks: Sequence[Task], model: _Slow, bench: Bench, folder: Path) -> int:
    """Draws all samples of all tasks; returns how many came of it."""
    journal = Journal(folder)
    waiting = list(tasks)[::-1]
    told = 0

    async def worker() -> None:
        nonlocal told
        while waiting:
            searcher = Searcher(
                model=model,
                verifier=bench.verifier,
                strategy=create_strategy("best-of-n", StrategyOptions(n=_SAMPLES, exhaustive=True)),
                ledger=Ledger(Budget()),
                journal=journal,
                concurrency=_IN_FLIGHT // _AT_A_TIME,
                confirm=Confirm.NONE,
            )
            result = await searcher.search(waiting.pop().given())
            told += len(result.candidates)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(_AT_A_TIME):
                group.start_soon(worker)
    finally:
        journal.close()
    return told
