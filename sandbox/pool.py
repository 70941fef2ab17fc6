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

from .cell import Cell
from .errors import CellLostError, SandboxError
from .jobs import Isolation, Job, Report, infra, judge_broke, read_reply
from .outcome import Outcome

CellFactory = Callable[[TaskGroup, int, int], Awaitable[Cell]]
"""Starts a cell: task group to listen in, slots, hash seed."""

_RUNS_PER_CELL = 5_000
_SECONDS_PER_CELL = 1_800.0
_BROKEN_TWICE = "broke its sandbox twice; that is no way out"


def default_slots() -> int:
    """As many programs at a time as there are cores to run them."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


class Pool:
    """Runs jobs in cells, as many at a time as there are slots.

    Args:
        factory: starts a cell.
        slots: jobs at a time.
        isolation: whether jobs share a cell one after the other, or get one each.
        level: the isolation level, for reports.
        runs_per_cell: after so many runs a cell is replaced.
        seconds_per_cell: and after so many seconds.
    """

    def __init__(
        self,
        factory: CellFactory,
        *,
        slots: int,
        isolation: Isolation,
        level: str,
        runs_per_cell: int = _RUNS_PER_CELL,
        seconds_per_cell: float = _SECONDS_PER_CELL,
    ) -> None:
        self._factory = factory
        self._slots = slots
        self._isolation = isolation
        self._level = level
        self._runs_per_cell = runs_per_cell
        self._seconds_per_cell = seconds_per_cell
        self._places = anyio.Semaphore(slots)
        self._changing = anyio.Lock()
        self._cell: Cell | None = None
        self._cells: set[Cell] = set()
        self._tasks: TaskGroup | None = None
        self._stack = AsyncExitStack()
        self.hello: dict[str, Any] = {}
        """What the zygote said of itself."""

    async def __aenter__(self) -> Pool:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        try:
            if self._isolation is Isolation.SLOT:
                await self._current()
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
        alone = fresh or self._isolation is Isolation.CONTAINER
        lost = 0
        report = infra("never started", self._level)
        async with self._places:
            for attempt in range(3):
                try:
                    reply = await (
                        self._run_alone(job, hash_seed=attempt + int(fresh), fresh=fresh)
                        if alone
                        else self._run_in_slot(job)
                    )
                    if judge_broke(reply):
                        raise CellLostError("the judge ended without a report")
                except CellLostError as error:
                    lost += 1
                    report = infra(str(error), self._level)
                    if lost >= 2:
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
        cell = await self._current()
        slot = cell.free.pop()
        try:
            return await cell.run(job, slot)
        except BaseException:
            if not cell.retiring:
                cell.retiring = "a run was cut short"  # its processes may still be at work
            raise
        finally:
            cell.free.append(slot)
            if cell.retiring and len(cell.free) == cell.slots:
                await self._dismiss(cell)

    async def _run_alone(self, job: Job, *, hash_seed: int, fresh: bool) -> dict[str, Any]:
        cell = await self._start(1, hash_seed)
        try:
            return await cell.run(job, 0, fresh=fresh)
        finally:
            await self._dismiss(cell)

    async def _current(self) -> Cell:
        """The cell that takes new runs, replaced when it is worn out or broken."""
        async with self._changing:
            cell = self._cell
            if cell is not None:
                if cell.runs >= self._runs_per_cell:
                    cell.retiring = cell.retiring or "enough runs"
                elif anyio.current_time() - cell.born >= self._seconds_per_cell:
                    cell.retiring = cell.retiring or "old"
                if not cell.retiring and cell.free:
                    return cell
                if len(cell.free) == cell.slots:
                    await self._dismiss(cell)
            self._cell = await self._start(self._slots, 0)
            return self._cell

    async def _start(self, slots: int, hash_seed: int) -> Cell:
        if self._tasks is None:
            raise SandboxError("the sandbox is not open")
        cell = await self._factory(self._tasks, slots, hash_seed)
        self._cells.add(cell)
        self.hello = self.hello or cell.hello
        return cell

    async def _dismiss(self, cell: Cell) -> None:
        self._cells.discard(cell)
        await cell.aclose()
