"""Slots for jobs over cells that come and go: recycling, retries, a fresh cell on demand.

Written once for all backends; a backend only says how a cell is started.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

import anyio
from anyio.abc import TaskGroup

from .base import Indexes
from .cell import Cell
from .errors import CellLostError, SandboxError, SandboxUnavailableError
from .jobs import Isolation, Job, Report, infra, judge_broke, read_reply
from .outcome import Outcome

CellFactory = Callable[[TaskGroup, int, int], Awaitable[Cell]]
"""Starts a cell: task group to listen in, slots, hash seed."""

_RUNS_PER_CELL = 5_000
_SECONDS_PER_CELL = 1_800.0
_LINE = 2
"""Jobs in a cell for each of its slots: one that runs, and one that begins as soon as it ends."""
_WORN = 0.9
"""Of its runs a cell has had so many when its successor is started."""
_RETURN_SECONDS = 30.0
"""So long a backend that has worked may be away (an engine that restarts) before a run ends."""
_KNOCK_SECONDS = 0.5
_BROKEN_TWICE = "broke its sandbox twice; that is no way out"


def default_slots() -> int:
    """As many programs at a time as there are cores to run them."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


class Pool:
    """Runs jobs in cells, as many at a time as there are slots.

    Args:
        factory: starts a cell.
        slots: jobs at a time; as many may run besides that get a cell of their own.
        isolation: whether jobs share a cell one after the other, or get one each.
        level: the isolation level, for reports.
        spares: cells kept ready for fresh runs; with a cell each, there is one a slot anyway.
        runs_per_cell: after so many runs a cell is replaced.
        seconds_per_cell: and after so many seconds.
        indexes: what setup commands may ask, each in a cell of its own.
    """

    def __init__(
        self,
        factory: CellFactory,
        *,
        slots: int,
        isolation: Isolation,
        level: str,
        spares: int = 0,
        runs_per_cell: int = _RUNS_PER_CELL,
        seconds_per_cell: float = _SECONDS_PER_CELL,
        indexes: Indexes | None = None,
    ) -> None:
        self._factory = factory
        self._slots = slots
        self._isolation = isolation
        self._level = level
        self._runs_per_cell = runs_per_cell
        self._seconds_per_cell = seconds_per_cell
        self._indexes = indexes
        self._line = anyio.Semaphore(_LINE * slots, fast_acquire=True)
        self._places = anyio.Semaphore(slots, fast_acquire=True)
        self._changing = anyio.Lock(fast_acquire=True)
        self._cell: Cell | None = None
        self._cells: set[Cell] = set()
        alone = isolation is Isolation.CONTAINER
        self._spares = Shelf(self, max(spares, slots) if alone else spares, 1, 0 if alone else 1)
        self._successors = Shelf(self, 0 if alone else 1, slots, 0)
        self._proven = False
        self._outages = 0
        self._tasks: TaskGroup | None = None
        self._stack = AsyncExitStack()
        self.hello: dict[str, Any] = {}
        """What the zygote said of itself."""

    async def __aenter__(self) -> Pool:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        try:
            if self._isolation is Isolation.SLOT:
                await self._current()
            self._spares.fill(self._tasks)
        except BaseException:
            await self._close_all()
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close_all()
        await self._stack.__aexit__(None, None, None)

    async def _close_all(self) -> None:
        tasks, self._tasks = self._tasks, None  # from here on, a run raises
        if tasks is not None:
            tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for cell in list(self._cells):
                await cell.aclose()
            self._cells.clear()

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        """Runs one job; see `sandbox.base.Sandbox.run`."""
        indexes = self._indexes if job.kind == "setup" else None
        fresh = fresh or indexes is not None  # nobody else is to be in its network namespace
        alone = fresh or self._isolation is Isolation.CONTAINER
        lost, outages = 0, self._outages
        report = infra("never started", self._level)
        for attempt in range(3):
            try:
                reply = await (
                    self._run_alone(
                        job, hash_seed=attempt + int(fresh), fresh=fresh, indexes=indexes
                    )
                    if alone
                    else self._run_in_slot(job)
                )
                if judge_broke(reply):
                    raise CellLostError("the judge ended without a report")
            except CellLostError as error:
                # what was lost before an outage was lost by it
                lost = lost + 1 if self._outages == outages else 1
                outages = self._outages
                report = infra(str(error), self._level)
                if lost >= 2 and not await self._is_away():
                    # twice, the second time alone: it is the program that does it
                    return report.model_copy(
                        update={
                            "outcome": Outcome.CRASH,
                            "detail": f"{error}: {_BROKEN_TWICE}",
                        }
                    )
                alone = True
                continue
            report = read_reply(reply, self._level)
            program = reply.get("program") or {}
            if program.get("oom") and not alone:
                alone = True  # it may have been a neighbour that took the memory
                continue
            if report.outcome is not Outcome.INFRA:
                return report
            alone = True
        return report

    async def _run_in_slot(self, job: Job) -> dict[str, Any]:
        async with self._line:
            while True:
                cell = await self._current()
                reply = await self._run_in(cell, job)
                if not reply.get("not_begun"):
                    return reply

    async def _run_in(self, cell: Cell, job: Job) -> dict[str, Any]:
        cell.held += 1
        try:
            return await cell.run(job)
        except BaseException:
            if not cell.retiring:
                cell.retiring = "a run was cut short"  # its processes may still be at work
                if self._tasks is not None:
                    self._tasks.start_soon(cell.take_back)
            raise
        finally:
            cell.held -= 1
            if cell.retiring and not cell.held:
                await self.dismiss(cell)

    async def _run_alone(
        self, job: Job, *, hash_seed: int, fresh: bool, indexes: Indexes | None
    ) -> dict[str, Any]:
        async with self._places:
            cell = self._spares.take(hash_seed) or await self.start(1, hash_seed)
            if self._tasks is not None:
                self._spares.fill(self._tasks)
            try:
                return await cell.run(job, fresh=fresh, indexes=indexes)
            finally:
                await self.dismiss(cell)

    async def _current(self) -> Cell:
        """The cell that takes new runs, replaced when it is worn out or broken."""
        async with self._changing:
            cell = self._cell
            if cell is not None:
                if cell.runs >= self._runs_per_cell:
                    cell.retiring = cell.retiring or "enough runs"
                elif anyio.current_time() - cell.born >= self._seconds_per_cell:
                    cell.retiring = cell.retiring or "old"
                elif cell.runs >= _WORN * self._runs_per_cell and self._tasks is not None:
                    self._successors.fill(self._tasks)
                if not cell.retiring:
                    return cell
                if not cell.held:
                    await self.dismiss(cell)
            self._cell = self._successors.take(0) or await self.start(self._slots, 0)
            return self._cell

    async def start(self, slots: int, hash_seed: int) -> Cell:
        """Starts a cell, which is ended with the pool at the latest.

        Raises:
            SandboxError: none can be had.
        """
        if self._tasks is None:
            raise SandboxError("the sandbox is not open")
        cell = await self._try_start(self._tasks, slots, hash_seed)
        self._proven = True
        self._cells.add(cell)
        self.hello = self.hello or cell.hello
        return cell

    async def _try_start(self, tasks: TaskGroup, slots: int, hash_seed: int) -> Cell:
        """Starts a cell; where that has worked before, waits for a backend that is away."""
        end = anyio.current_time() + _RETURN_SECONDS
        while True:
            try:
                return await self._factory(tasks, slots, hash_seed)
            except SandboxUnavailableError:
                if not self._proven or anyio.current_time() > end:
                    self._proven = False  # the others needn't wait again
                    raise
                self._outages += 1
                await anyio.sleep(_KNOCK_SECONDS)

    async def _is_away(self) -> bool:
        """Whether cells are lost with their backend and not by what runs in them: none starts."""
        outages = self._outages
        await self.dismiss(await self.start(1, 0))
        return self._outages > outages

    async def dismiss(self, cell: Cell) -> None:
        """Ends a cell."""
        self._cells.discard(cell)
        await cell.aclose()


class Shelf:
    """Cells started ahead of need, each for one who takes it.

    Args:
        pool: starts and ends them.
        count: how many are kept ready.
        slots: of each.
        hash_seed: of each.
    """

    def __init__(self, pool: Pool, count: int, slots: int, hash_seed: int) -> None:
        self._pool = pool
        self._count = count
        self._slots = slots
        self._hash_seed = hash_seed
        self._ready: list[Cell] = []
        self._on_order = 0

    def take(self, hash_seed: int) -> Cell | None:
        """One that is ready and sound, if there is one with this hash seed."""
        while self._ready and hash_seed == self._hash_seed:
            cell = self._ready.pop(0)
            if not cell.retiring:
                return cell
        return None

    def fill(self, tasks: TaskGroup) -> None:
        """Has as many started as are missing, in the background."""
        while len(self._ready) + self._on_order < self._count:
            self._on_order += 1
            tasks.start_soon(self._add)

    async def _add(self) -> None:
        try:
            self._ready.append(await self._pool.start(self._slots, self._hash_seed))
        except SandboxError:
            pass  # whoever needs one will try again, and hear why
        finally:
            self._on_order -= 1
