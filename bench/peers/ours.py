"""Regreen's own sandboxes, through its verifier as the agent uses it."""

from __future__ import annotations

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
        """As many in flight as there are slots, and slots as there are workers."""
        try:
            return anyio.run(self._run, candidates, workers)
        except SandboxError as error:
            raise PeerError(str(error)) from None

    async def _run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        limits = Limits(cpu_seconds=TIMEOUT_SECONDS, wall_seconds=TIMEOUT_SECONDS)
        began = time.perf_counter()
        found: list[tuple[bool, bool, float]] = [(False, False, 0.0)] * len(candidates)
        async with create_sandbox(self.name, SandboxOptions(slots=workers, limits=limits)) as box:
            verifier = Verifier(box, limits=limits)
            waiting = iter(enumerate(candidates))

            async def work() -> None:
                for number, candidate in waiting:
                    since = time.perf_counter()
                    verdict = await verifier.verify(
                        candidate.task, candidate.program, tests=candidate.tests, cache=False
                    )
                    took = time.perf_counter() - since
                    found[number] = (verdict.passed, verdict.seconds > 0, took)

            started = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for _ in range(workers):
                    tasks.start_soon(work)
            seconds = time.perf_counter() - started
        return Round(
            seconds,
            [passed for passed, _, _ in found],
            [took for _, _, took in found],
            started - began,
            sum(not executed for _, executed, _ in found),
        )
