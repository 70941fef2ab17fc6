"""Verifies candidates: the syntax gate first, then the cache, then the sandbox."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sandbox.base import Sandbox
from sandbox.jobs import Job, Limits, Report
from sandbox.outcome import Outcome
from tasks.model import ProbeTests, PublicTask, TaskLimits, Tests

from .cache import VerdictCache
from .gate import check_syntax
from .in_process import InProcess
from .literal import literal_script, probe_requests
from .separable import why_in_process
from .verdict import Verdict, from_report, refused, rejected

_OF_TESTS = frozenset({Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.SYNTAX})
"""What tests say by themselves; anything else may be a probe's doing."""


class Verifier:
    """Turns programs into verdicts.

    Args:
        sandbox: where programs run; opened and closed by the caller.
        cache: verdicts known already; `None` runs everything.
        limits: defaults for tasks that name none.
        seed: for the judge's random numbers and Hypothesis.
        allow_in_process: judge tests that need the program's own process there, with verdicts that
            say so; without it they are refused with the reason.
        second: another sandbox for fresh runs, as with another runtime; also the caller's.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        cache: VerdictCache | None = None,
        limits: Limits | None = None,
        seed: int = 0,
        allow_in_process: bool = False,
        second: Sandbox | None = None,
    ) -> None:
        self.sandbox = sandbox
        self._cache = cache
        self._limits = limits or Limits()
        self._seed = seed
        self._second = second
        places = (sandbox, second) if second is not None else (sandbox,)
        self._in_process = [InProcess(place) for place in places] if allow_in_process else []

    @property
    def second_place(self) -> str:
        """What fresh verdicts depend on besides, if it is another sandbox that gives them."""
        return self._second.identity if self._second is not None else ""

    async def verify(
        self,
        task: PublicTask,
        program: str,
        *,
        tests: Sequence[Tests] | None = None,
        fresh: bool = False,
        seed: int | None = None,
        cache: bool = True,
    ) -> Verdict:
        """The verdict on one program.

        Args:
            task: what the program is for.
            program: complete source.
            tests: the tests to judge by; the task's visible ones if not given.
            fresh: in a sandbox of its own, another hash seed, never from the cache.
            seed: in place of the verifier's own.
            cache: whether the cache may be read and written.

        Raises:
            sandbox.errors.SandboxError: the sandbox can't be had at all.
        """
        chosen = tuple(task.visible if tests is None else tests)
        sandbox = self._second if fresh and self._second is not None else self.sandbox
        # tests that are data reach into nothing
        script = literal_script(task, chosen)
        shared = "" if script else why_in_process(task, chosen)
        if shared and not self._in_process:
            return refused(shared, isolation=sandbox.level, reduced=sandbox.reduced)
        gate = check_syntax(program, task)
        if not gate.ok:
            outcome = Outcome.ERROR if gate.kind == "no-entry-point" else Outcome.SYNTAX
            return rejected(outcome, gate.reason, isolation=sandbox.level, reduced=sandbox.reduced)
        probes = task.probes if tests is None and not shared else None
        job = self._job(task, program, chosen, self._seed if seed is None else seed, script, probes)
        store = self._cache if cache and not fresh else None
        trust = "in-process" if shared else "isolated"
        key = self._key(job, trust) if store is not None else ""
        if store is not None and (known := store.get(key)) is not None:
            return known
        if shared:
            verdict = await self._in_process[-1 if fresh else 0].verify(
                task, program, chosen, limits=job.limits, seed=job.seed, fresh=fresh
            )
        else:
            report = await _run(sandbox, job, fresh=fresh)
            verdict = from_report(report, chosen, reduced=sandbox.reduced)
        if store is not None:
            store.put(key, verdict)
        return verdict

    def _job(
        self,
        task: PublicTask,
        program: str,
        tests: tuple[Tests, ...],
        seed: int,
        script: str,
        probes: ProbeTests | None,
    ) -> Job:
        of_function = task.entry_kind == "function" and task.language == "python"
        probes = probes if of_function else None
        return Job(
            program=program,
            tests=tuple(test.model_dump(mode="json") for test in tests),
            prelude=task.prompt if task.language == "python" else "",
            entry_point=task.entry_point,
            kind=task.entry_kind,
            module=task.module,
            language=task.language,
            limits=merge_limits(self._limits, task.limits),
            seed=seed,
            mutates=task.mutates,
            requirements=task.requirements,
            script=script,
            probes=probe_requests(probes, task.entry_point) if probes else (),
            probe_failures=probes.failures if probes else False,
        )

    def _key(self, job: Job, trust: str) -> str:
        text = json.dumps(
            [job.model_dump(mode="json"), self.sandbox.identity, trust], sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()


async def _run(sandbox: Sandbox, job: Job, *, fresh: bool) -> Report:
    """Runs a job, and once more without its probes where they may have spoilt its report.

    A probe may use up what a run has of time or memory, and the servers can't say whether it was
    that or a test. What the tests amount to is then what they amount to alone.
    """
    report = await sandbox.run(job, fresh=fresh)
    if not job.probes or report.outcome in _OF_TESTS or (report.tests and not report.probes):
        return report
    alone = job.model_copy(update={"probes": ()})
    again = await sandbox.run(alone, fresh=fresh)
    both = report.wall_seconds + again.wall_seconds  # both were paid for
    return again.model_copy(update={"probes": report.probes, "wall_seconds": both})


def merge_limits(defaults: Limits, overrides: TaskLimits) -> Limits:
    """The sandbox's limits with what the task says in their place."""
    given = {name: value for name, value in overrides.model_dump().items() if value is not None}
    return defaults.model_copy(update=given)
