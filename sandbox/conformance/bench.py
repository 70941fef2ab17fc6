"""Where checks run: a sandbox that is open, jobs to run in it, and what may come of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from sandbox.base import Sandbox
from sandbox.jobs import Job, Limits, Report
from sandbox.outcome import Outcome
from sandbox.registry import SandboxBuilder, SandboxOptions

from .model import Check, Unmet

SHORT: dict[str, Any] = {"cpu_seconds": 2, "wall_seconds": 15, "judge_seconds": 30}
"""Limits of a job that sets none of its own: machines that are checked may be busy."""
_SHOWN = 300


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The sandbox under test.

    Attributes:
        sandbox: open, used by all checks.
        build: makes another one like it.
        options: it was made with.
        canary: a file of the controller's machine that everybody may read and write.
    """

    sandbox: Sandbox
    build: SandboxBuilder
    options: SandboxOptions
    canary: Path

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        """The report of one job.

        Raises:
            Unmet: the outcome is `infra`, which no program must be able to bring about.
        """
        report = await self.sandbox.run(job, fresh=fresh)
        if report.outcome is Outcome.INFRA:
            raise Unmet(f"the sandbox itself failed: {report.detail}")
        return report

    async def run_all(self, jobs: Sequence[Job]) -> list[Report]:
        """The reports of jobs that are handed in at the same time, in their order."""
        reports: dict[int, Report] = {}

        async def one(number: int) -> None:
            reports[number] = await self.run(jobs[number])

        async with anyio.create_task_group() as tasks:
            for number in range(len(jobs)):
                tasks.start_soon(one, number)
        return [reports[number] for number in range(len(jobs))]

    async def in_every_slot(self, job: Job) -> list[Report]:
        """The reports of a job that is run as often as there are slots, at the same time."""
        return await self.run_all([job] * self.sandbox.slots)

    def another(self) -> Sandbox:
        """A sandbox like the one under test, with one slot, not open yet."""
        return self.build(self.options.model_copy(update={"slots": 1}))


def asserts(source: str) -> dict[str, Any]:
    """Assert-style tests, as a job takes them."""
    text = textwrap.dedent(source)
    return {
        "kind": "asserts",
        "source": text,
        "function": None,
        "filename": "tests.py",
        "weights": {},
    }


def pytest_file(source: str) -> dict[str, Any]:
    """A pytest file, as a job takes it."""
    text = textwrap.dedent(source)
    return {"kind": "pytest", "source": text, "filename": "test_solution.py", "weights": {}}


def cases(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Cases of a program: standard input, and the expected standard output."""
    named = [
        {"name": f"case {number}", "stdin": given, "stdout": out, "args": [], "weight": 1.0}
        for number, (given, out) in enumerate(pairs, start=1)
    ]
    return {"kind": "stdio", "cases": named}


ADDS_ONE = asserts("assert f(2) == 3\nassert f(5) == 6")
"""What most programs are asked for: a function `f` that adds one."""
RIGHT = "def f(x): return x + 1\n"
WRONG = "def f(x): return 3\n"


def job(
    program: str,
    tests: dict[str, Any] = ADDS_ONE,
    *,
    limits: dict[str, Any] | None = None,
    **fields: Any,
) -> Job:
    """A job that asks for a function `f` unless it is told otherwise.

    Args:
        program: its source, which may be indented.
        tests: to judge it by.
        limits: fields of `Limits` that differ from `SHORT`.
        fields: further fields of the job.
    """
    given = {"entry_point": "f", **fields}
    return Job(
        program=textwrap.dedent(program).strip("\n") + "\n",
        tests=(tests,),
        limits=Limits(**{**SHORT, **(limits or {})}),
        **given,
    )


def must_end(report: Report, *outcomes: str, saying: str = "") -> None:
    """Raises `Unmet` unless the report has one of these outcomes, and this in its detail."""
    if report.outcome not in outcomes:
        raise Unmet(f"ended as {told(report)}, not as {' or '.join(outcomes)}")
    if saying not in report.detail:
        raise Unmet(f"ended as {told(report)}, which doesn't say {saying!r}")


def told(report: Report) -> str:
    """A report in a line."""
    detail = " ".join(report.detail.split())
    return f"{report.outcome}: {detail[:_SHOWN]}" if detail else str(report.outcome)


def ending(
    group: str, name: str, proves: str, work: Job, *outcomes: str, saying: str = ""
) -> Check:
    """A check of one job, which has to end with one of these outcomes."""

    async def act(bench: Bench) -> str:
        must_end(await bench.run(work), *outcomes, saying=saying)
        return ""

    return Check(name=name, group=group, proves=proves, act=act)


Act = Callable[[Bench], Any]


def check(group: str, name: str, proves: str, *, alone: bool = False) -> Callable[[Act], Check]:
    """Makes a check of a function that is one."""

    def make(act: Act) -> Check:
        return Check(name=name, group=group, proves=proves, act=act, alone=alone)

    return make
