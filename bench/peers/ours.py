"""Regreen's own sandboxes, through its verifier as the agent uses it."""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence

import anyio

from bench.peers.base import TIMEOUT_SECONDS, PeerError, Round
from bench.programs import Candidate
from sandbox.errors import SandboxError
from sandbox.jobs import Limits
from sandbox.registry import SandboxOptions, create_sandbox
from verifiers.verifier import Verifier


class Regreen:
    """Regreen's verifier over one of its sandboxes, with no cache: every verdict is executed."""

    most = 0
    protected = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.label = f"regreen {name}"

    def missing(self) -> str:
        """Opens it once to find out."""
        try:
            anyio.run(self._open_and_close)
        except SandboxError as error:
            return str(error)
        return ""

    async def _open_and_close(self) -> None:
        async with create_sandbox(self.name, SandboxOptions(slots=1)):
            pass

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """Slots as there are workers, and one program waiting for each, as others have them all.

        A single worker has none waiting: there the time that a program takes is looked at.
        """
        try:
            return anyio.run(self._run, candidates, workers)
        except SandboxError as error:
            raise PeerError(str(error)) from None

    async def _run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        limits = Limits(cpu_seconds=TIMEOUT_SECONDS, wall_seconds=TIMEOUT_SECONDS)
        began = time.perf_counter()
        found = [(False, False)] * len(candidates)
        asked: list[tuple[float, int]] = []
        ended = [0.0] * len(candidates)
        async with create_sandbox(self.name, SandboxOptions(slots=workers, limits=limits)) as box:
            verifier = Verifier(box, limits=limits)
            waiting = iter(enumerate(candidates))

            async def work() -> None:
                for number, candidate in waiting:
                    asked.append((time.perf_counter(), number))
                    verdict = await verifier.verify(
                        candidate.task, candidate.program, tests=candidate.tests, cache=False
                    )
                    ended[number] = time.perf_counter()
                    found[number] = (verdict.passed, verdict.seconds > 0)

            started = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for _ in range(2 * workers if workers > 1 else 1):
                    tasks.start_soon(work)
            seconds = time.perf_counter() - started
        return Round(
            seconds,
            [passed for passed, _ in found],
            without_waiting(asked, ended, workers),
            started - began,
            sum(not executed for _, executed in found),
        )


def without_waiting(
    asked: Sequence[tuple[float, int]], ended: Sequence[float], slots: int
) -> list[float]:
    """Seconds that each candidate took from when a slot was free for it.

    Args:
        asked: when, and the number of the candidate; in that order they get their slots.
        ended: when, by number.
        slots: candidates at a time.
    """
    took = [0.0] * len(ended)
    free = [0.0] * slots
    for since, number in asked:
        took[number] = ended[number] - max(since, heapq.heappop(free))
        heapq.heappush(free, ended[number])
    return took
