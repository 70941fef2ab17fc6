"""Judges patches to a repository by its own test suite, in the process that the suite is in.

Verdicts say `trust: in-process`. What that is worth is in docs/repositories.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import anyio

from sandbox.base import Sandbox
from sandbox.guest.limits import inodes
from sandbox.jobs import Job, Report
from sandbox.outcome import Outcome
from sandbox.suite import Status, SuiteReport
from verifiers.verdict import Verdict

from .baseline import Baseline, compare
from .options import SuiteOptions
from .patch import Patch
from .results import canary_fault, result, reward
from .runners import Canaries, Plan, Runner, make_runner
from .snapshot import RepositoryError, Snapshot

_ARCHIVE_LIMIT = 40 << 20
_LOST = SuiteReport()


class RepositoryVerifier:
    """Turns patches to one repository into verdicts.

    Args:
        sandbox: where suites run; opened and closed by the caller, who gives it what the repository
            requires.
        snapshot: the pristine repository.
        options: how its suite is run.

    Raises:
        RepositoryError: the repository's settings can't be read, or it is too large for its limits.
    """

    def __init__(
        self, sandbox: Sandbox, snapshot: Snapshot, options: SuiteOptions | None = None
    ) -> None:
        self.sandbox = sandbox
        self.snapshot = snapshot
        self.options = options or SuiteOptions()
        self.runner: Runner = make_runner(snapshot, self.options)
        self._has_room()

    def _has_room(self) -> None:
        """Sees to it that the tree takes no more than three quarters of the scratch space."""
        scratch = self.options.limits.file_mb << 20
        if self.snapshot.size * 4 > scratch * 3 or self.snapshot.entries * 4 > inodes(scratch) * 3:
            raise RepositoryError(
                f"the repository has {self.snapshot.entries} files and folders and "
                f"{self.snapshot.size >> 20} MiB, too much for a scratch space of "
                f"{scratch >> 20} MiB: raise file_mb in the limits"
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """The files that a candidate may change."""
        return self.runner.sources()

    async def baseline(self, *, patient: bool = True) -> Baseline:
        """Runs the pristine suite twice, with different seeds, and sorts its tests.

        Args:
            patient: run it again even if the first run did not get to its end. Else what that has
                told stands for both.

        Raises:
            sandbox.errors.SandboxError: the sandbox can't be had at all.
        """
        reports = []
        canaries = []
        for number in range(2):
            canary = self._canaries(self.snapshot, self.runner.test_files())
            canaries.append(canary)
            reports.append(await self._run(self.snapshot, (), canary, vary=number))
            if reports[0].outcome is Outcome.TIMEOUT and not patient:
                reports, canaries = reports * 2, canaries * 2
                break
        broken = ""
        for report, canary in zip(reports, canaries, strict=True):
            broken = broken or (report.detail if report.outcome is not Outcome.PASSED else "")
            broken = broken or canary_fault(report.suite or _LOST, canary)
        return compare(
            reports[0].suite or _LOST,
            reports[1].suite or _LOST,
            without=frozenset(name for one in canaries for name in one.ids),
            broken=broken,
            seconds=max(report.wall_seconds for report in reports),
            cpu_seconds=max(report.cpu_seconds for report in reports),
        )

    async def traced(self, names: Iterable[str]) -> SuiteReport:
        """Runs some tests of the pristine suite, and has it told what of the sources each executes.

        It judges nothing, and what it says comes from the suite's own process: a hint.

        Args:
            names: ids of the tests.

        Raises:
            sandbox.errors.SandboxError: the sandbox can't be had at all.
        """
        only = tuple(names)
        named = {name.partition("::")[0] for name in only}
        files = self.runner.in_order(named & self.snapshot.files.keys())
        canary = self._canaries(self.snapshot, files)
        report = await self._run(
            self.snapshot, (), canary, files=files, only=only, trace=self.sources
        )
        return report.suite or _LOST

    async def verify(
        self,
        patch: Patch,
        *,
        fail_to_pass: Iterable[str],
        pass_to_pass: Iterable[str] = (),
        fresh: bool = False,
    ) -> Verdict:
        """The verdict on one patch. No test but those named is run.

        Args:
            patch: whole new texts of files by their paths, `None` where a file goes.
            fail_to_pass: ids of tests that have to pass from now on.
            pass_to_pass: ids of tests that have to pass as before.
            fresh: for a final verdict: in a sandbox of its own, with another hash seed, and after
                it once more with some of the expected tests made to fail, which must be seen.

        Returns:
            A verdict with a result for each expected id, and no other. The reward is the share of
            `fail_to_pass` that pass, less the share of `pass_to_pass` that do not.

        Raises:
            sandbox.errors.SandboxError: the sandbox can't be had at all.
            RepositoryError: no test is expected.
        """
        wanted, kept = tuple(dict.fromkeys(fail_to_pass)), tuple(dict.fromkeys(pass_to_pass))
        if not wanted and not kept:
            raise RepositoryError("no test is expected to pass: name at least one")
        named = {name.partition("::")[0] for name in (*wanted, *kept)}
        reason = self.runner.check(patch)
        if held := sorted(named & patch.keys()):
            reason = reason or f"{held[0]} holds tests that have to pass"
        if reason:
            return self._refused(Outcome.ERROR, f"patch refused: {reason}")
        if reason := self.runner.syntax(patch):
            return self._refused(Outcome.SYNTAX, reason)
        tree = self.snapshot.changed(patch)
        files = self.runner.in_order(named & tree.files.keys())
        canary = self._canaries(tree, files)
        report = await self._run(
            tree, tuple(patch), canary, files=files, only=(*wanted, *kept), fresh=fresh
        )
        verdict = self._verdict(report, canary, wanted, kept)
        if fresh and verdict.passed:
            return await self._try_traps(verdict, tree, tuple(patch), wanted, kept)
        return verdict

    async def report(
        self, tree: Snapshot, *, files: Sequence[str], only: Sequence[str] = ()
    ) -> Report:
        """What is reported of the tests of some files in a tree; no verdict comes of it.

        Args:
            tree: the repository, with whatever was put into it.
            files: to collect tests from, in this order.
            only: ids of the tests in them that are run; empty for all.

        Raises:
            sandbox.errors.SandboxError: the sandbox can't be had at all.
        """
        return await self._run(tree, (), self._canaries(tree, files), files=files, only=only)

    async def _try_traps(
        self,
        verdict: Verdict,
        tree: Snapshot,
        changed: tuple[str, ...],
        wanted: tuple[str, ...],
        kept: tuple[str, ...],
    ) -> Verdict:
        """Runs some of the tests again, changed so that they must fail, and nothing else may."""
        texts, trapped = self.runner.traps(wanted or kept, secrets.token_hex(16), beside=kept)
        if not trapped:
            return verdict
        tree = tree.changed(texts)
        canary = self._canaries(tree, texts)
        beside = [name for name in (*wanted, *kept) if name.partition("::")[0] in texts]
        report = await self._run(
            tree, changed, canary, files=self.runner.in_order(texts), only=beside, fresh=True
        )
        suite = report.suite or _LOST
        found = {test.id: test for test in suite.tests}
        fault = "" if report.outcome is Outcome.PASSED else report.detail
        fault = fault or canary_fault(suite, canary)
        for name in beside:
            status = found[name].status if name in found else Status.NOT_RUN
            if name in trapped and status not in (Status.FAILED, Status.ERROR):
                fault = fault or f"{name} was made to fail, and was reported as {status}"
            elif name not in trapped and status is not Status.PASSED:
                fault = fault or f"{name} passed, and then beside tests made to fail it {status}"
        if not fault:
            return verdict.model_copy(update={"trapped": len(trapped)})
        outcome = Outcome.PROTOCOL if report.outcome is Outcome.PASSED else report.outcome
        return verdict.model_copy(
            update={"outcome": outcome, "reward": 0.0, "detail": f"can't be trusted: {fault}"}
        )

    def _canaries(self, tree: Snapshot, files: Iterable[str]) -> Canaries:
        return self.runner.canaries(tree, files, secrets.token_hex(16))

    async def _run(
        self,
        tree: Snapshot,
        changed: tuple[str, ...],
        canary: Canaries,
        *,
        files: Sequence[str] | None = None,
        only: Sequence[str] = (),
        trace: Sequence[str] = (),
        fresh: bool = False,
        vary: int = 0,
    ) -> Report:
        seed = self.options.seed + vary
        # in an order that doesn't tell those that must fail from the others
        chosen = tuple(sorted((*only, *canary.ids))) if only else ()

        def make_order() -> dict[str, Any]:
            plan = Plan(
                canaries=canary,
                files=None if files is None else tuple(files),
                only=chosen,
                changed=changed,
                trace=tuple(trace),
                seed=seed,
                hash_seed=vary + int(fresh),
            )
            return self.runner.order(tree, plan)

        wanted = await anyio.to_thread.run_sync(make_order)
        if len(wanted["archive"]) > _ARCHIVE_LIMIT:
            raise RepositoryError(
                f"the repository has more than {_ARCHIVE_LIMIT >> 20} MiB even when compressed: "
                "name a smaller part"
            )
        job = Job(
            program="",
            kind=wanted["kind"],
            limits=self.options.limits,
            seed=seed,
            tests=(wanted,),
        )
        return await self.sandbox.run(job, fresh=fresh)

    def _verdict(
        self, report: Report, canary: Canaries, wanted: tuple[str, ...], kept: tuple[str, ...]
    ) -> Verdict:
        suite = report.suite or _LOST
        found = {test.id: test for test in suite.tests}
        results = tuple(result(name, found.get(name), suite, report) for name in (*wanted, *kept))
        passed = {one.name for one in results if one.outcome is Outcome.PASSED}
        outcome, detail = report.outcome, report.detail
        if outcome is Outcome.PASSED and (fault := canary_fault(suite, canary)):
            outcome, detail = Outcome.PROTOCOL, fault
        if outcome is Outcome.PASSED and len(passed) < len(results):
            first = next(one for one in results if one.name not in passed)
            outcome, detail = first.outcome, f"{first.name}: {first.detail}"
        if outcome is Outcome.PROTOCOL:
            detail = f"can't be trusted: {detail}"
        believed = outcome is not Outcome.PROTOCOL
        return Verdict(
            outcome=outcome,
            reward=reward(passed, wanted, kept, outcome) if believed else 0.0,
            tests=results,
            detail=detail,
            trust="in-process",
            isolation=report.isolation,
            reduced=self.sandbox.reduced,
            cpu_seconds=report.cpu_seconds,
            seconds=report.wall_seconds,
            memory_bytes=report.memory_bytes,
            output=report.output,
        )

    def _refused(self, outcome: Outcome, detail: str) -> Verdict:
        return Verdict(
            outcome=outcome,
            reward=0.0,
            detail=detail,
            trust="in-process",
            isolation=self.sandbox.level,
            reduced=self.sandbox.reduced,
        )
