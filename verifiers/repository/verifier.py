"""Judges patches to a repository by its own pytest suite, in the process that the suite is in.

Verdicts say `trust: in-process`. What that is worth is in docs/repositories.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

from sandbox.base import Sandbox
from sandbox.guest.limits import inodes
from sandbox.jobs import Job, Limits, Report
from sandbox.outcome import Outcome
from sandbox.suite import Status, SuiteReport, SuiteTest, order
from verifiers.verdict import TestResult, Verdict

from .baseline import Baseline, compare
from .canary import Canary, make_canary, set_traps
from .patch import Patch, Rules, check, sources, syntax
from .settings import SuiteSettings, read_settings
from .snapshot import RepositoryError, Snapshot

SUITE_LIMITS = Limits(
    cpu_seconds=300,
    wall_seconds=600,
    memory_mb=2048,
    pids=128,
    output_bytes=32 << 20,
    file_mb=256,
)
"""What a suite may use unless it is told otherwise; open the sandbox with the same."""

_NOT_PASSED_CEILING = 0.99
_LOST = SuiteReport()
_ARGUMENTS = (
    "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:stepwise", "--maxfail=0",
    "--continue-on-collection-errors", "--capture=fd", "--tb=short", "--color=no", "-q",
    "--no-header", "--no-summary",
)  # fmt: skip


class SuiteOptions(BaseModel):
    """How a suite is run, besides what the repository's own settings say.

    Attributes:
        plugins: pytest plug-ins to load, as modules; no other plug-in is.
        arguments: pytest's, after the repository's own.
        paths: files and folders to collect from; empty for the repository's choice.
        roots: folders to import from; empty for the top, and `src` where there is one.
        rules: what a candidate may change.
        limits: of a run; the sandbox has to be opened with at least these.
        seed: for random numbers and Hypothesis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plugins: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    rules: Rules = Rules()
    limits: Limits = SUITE_LIMITS
    seed: int = 0


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
        self.settings: SuiteSettings = read_settings(snapshot)
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
        return sources(self.snapshot, self.settings, self.options.rules)

    async def baseline(self) -> Baseline:
        """Runs the pristine suite twice, with different seeds, and sorts its tests.

        Raises:
            sandbox.errors.SandboxError: the sandbox can't be had at all.
        """
        reports = []
        canaries = []
        for number in range(2):
            canary = self._canary(self._test_files())
            canaries.append(canary)
            reports.append(await self._run(self.snapshot, (), canary, vary=number))
        broken = ""
        for report, canary in zip(reports, canaries, strict=True):
            broken = broken or (report.detail if report.outcome is not Outcome.PASSED else "")
            broken = broken or _canary_fault(report.suite or _LOST, canary)
        return compare(
            reports[0].suite or _LOST,
            reports[1].suite or _LOST,
            without=frozenset(canary.id for canary in canaries),
            broken=broken,
            seconds=max(report.wall_seconds for report in reports),
        )

    async def verify(
        self,
        patch: Patch,
        *,
        fail_to_pass: Iterable[str],
        pass_to_pass: Iterable[str] = (),
        fresh: bool = False,
    ) -> Verdict:
        """The verdict on one patch.

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
        if reason := check(patch, self.snapshot, self.settings, self.options.rules):
            return self._refused(Outcome.ERROR, f"patch refused: {reason}")
        if reason := syntax(patch):
            return self._refused(Outcome.SYNTAX, reason)
        tree = self.snapshot.changed(patch)
        named = {name.partition("::")[0] for name in (*wanted, *kept)}
        files = sorted(named & tree.files.keys())
        canary = self._canary(files)
        report = await self._run(tree, tuple(patch), canary, files=files, fresh=fresh)
        verdict = self._verdict(report, canary, wanted, kept)
        if fresh and verdict.passed:
            return await self._try_traps(verdict, tree, tuple(patch), wanted, kept)
        return verdict

    async def _try_traps(
        self,
        verdict: Verdict,
        tree: Snapshot,
        changed: tuple[str, ...],
        wanted: tuple[str, ...],
        kept: tuple[str, ...],
    ) -> Verdict:
        """Runs some of the tests again, changed so that they must fail, and nothing else may."""
        texts, trapped = set_traps(self.snapshot, wanted or kept, secrets.token_hex(16))
        if not trapped:
            return verdict
        canary = self._canary(texts)
        report = await self._run(
            tree.changed(texts), changed, canary, files=sorted(texts), fresh=True
        )
        suite = report.suite or _LOST
        found = {test.id: test for test in suite.tests}
        fault = "" if report.outcome is Outcome.PASSED else report.detail
        fault = fault or _canary_fault(suite, canary)
        for name in [name for name in (*wanted, *kept) if name.partition("::")[0] in texts]:
            status = found[name].status if name in found else Status.NOT_RUN
            if name in trapped and status not in (Status.FAILED, Status.ERROR):
                fault = fault or f"{name} was made to fail, and was reported as {status}"
            elif name not in trapped and status is not Status.PASSED:
                fault = fault or f"{name} passed, and then beside tests made to fail it {status}"
        if not fault:
            return verdict
        outcome = Outcome.PROTOCOL if report.outcome is Outcome.PASSED else report.outcome
        return verdict.model_copy(
            update={"outcome": outcome, "reward": 0.0, "detail": f"can't be trusted: {fault}"}
        )

    def _canary(self, files: Iterable[str]) -> Canary:
        here = [path for path in files if path in self.snapshot.files]
        return make_canary(self.snapshot, self.settings, here, secrets.token_hex(16))

    def _test_files(self) -> list[str]:
        """Files with tests, as far as their names tell, where the suite looks for them."""
        tops = self.options.paths or self.settings.test_paths or ("",)
        prefixes = tuple(f"{top.rstrip('/')}/" if top.strip("./") else "" for top in tops)
        return [
            path
            for path in self.snapshot.files
            if self.settings.is_test_file(path)
            and (path in tops or any(path.startswith(prefix) for prefix in prefixes))
        ]

    async def _run(
        self,
        tree: Snapshot,
        changed: tuple[str, ...],
        canary: Canary,
        *,
        files: Sequence[str] | None = None,
        fresh: bool = False,
        vary: int = 0,
    ) -> Report:
        seed = self.options.seed + vary
        paths = list(self.options.paths or self.settings.test_paths or (".",))
        if files is not None:
            paths = list(files)
        job = Job(
            program="",
            kind="repository",
            limits=self.options.limits,
            seed=seed,
            tests=(
                order(
                    tree.changed({canary.path: canary.text}).archive(),
                    arguments=[*self._arguments(seed), *paths, canary.path],
                    roots=self.options.roots or self.settings.roots,
                    changed=changed,
                    hash_seed=vary + int(fresh),
                ),
            ),
        )
        return await self.sandbox.run(job, fresh=fresh)

    def _arguments(self, seed: int) -> list[str]:
        own = self.settings
        plugins = [f"-p{name}" for name in dict.fromkeys((*own.plugins, *self.options.plugins))]
        return [
            "-c", own.file or "/dev/null",
            "--rootdir", ".",
            "--confcutdir", ".",
            "-o", "addopts=",
            *_ARGUMENTS,
            f"--hypothesis-seed={seed}",
            *plugins,
            *own.arguments,
            *self.options.arguments,
        ]  # fmt: skip

    def _verdict(
        self, report: Report, canary: Canary, wanted: tuple[str, ...], kept: tuple[str, ...]
    ) -> Verdict:
        suite = report.suite or _LOST
        found = {test.id: test for test in suite.tests}
        results = tuple(_result(name, found.get(name), suite, report) for name in (*wanted, *kept))
        passed = {result.name for result in results if result.outcome is Outcome.PASSED}
        outcome, detail = report.outcome, report.detail
        if outcome is Outcome.PASSED and (fault := _canary_fault(suite, canary)):
            outcome, detail = Outcome.PROTOCOL, fault
        if outcome is Outcome.PASSED and len(passed) < len(results):
            first = next(result for result in results if result.name not in passed)
            outcome, detail = first.outcome, f"{first.name}: {first.detail}"
        if outcome is Outcome.PROTOCOL:
            detail = f"can't be trusted: {detail}"
        believed = outcome is not Outcome.PROTOCOL
        return Verdict(
            outcome=outcome,
            reward=_reward(passed, wanted, kept, outcome) if believed else 0.0,
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


def _reward(
    passed: set[str], wanted: tuple[str, ...], kept: tuple[str, ...], outcome: Outcome
) -> float:
    if outcome is Outcome.PASSED:
        return 1.0
    turned = sum(name in passed for name in wanted) / len(wanted) if wanted else 1.0
    broken = sum(name not in passed for name in kept) / len(kept) if kept else 0.0
    return min(max(0.0, turned - broken), _NOT_PASSED_CEILING)


def _result(name: str, test: SuiteTest | None, suite: SuiteReport, report: Report) -> TestResult:
    """One expected test: passed only if it was reported so, by name, once."""
    if name in suite.twice:
        return TestResult(name=name, outcome=Outcome.FAILED, detail="was collected twice")
    if test is None:
        file = name.partition("::")[0]
        if file in suite.uncollected:
            return TestResult(name=name, outcome=Outcome.ERROR, detail=suite.uncollected[file])
        return TestResult(name=name, outcome=Outcome.FAILED, detail="was not reported")
    if test.status in (Status.UNFINISHED, Status.NOT_RUN):
        cut_short = report.outcome is not Outcome.PASSED
        outcome = report.outcome if cut_short else Outcome.FAILED
        return TestResult(name=name, outcome=outcome, detail=f"was {test.status}")
    outcome = {Status.PASSED: Outcome.PASSED, Status.ERROR: Outcome.ERROR}.get(
        test.status, Outcome.FAILED
    )
    detail = test.detail
    if test.status in (Status.SKIPPED, Status.XFAILED, Status.XPASSED):
        detail = f"was {test.status}, and has to pass: {test.detail}".rstrip(": ")
    return TestResult(name=name, outcome=outcome, detail=detail)


def _canary_fault(suite: SuiteReport, canary: Canary) -> str:
    """Why a run can't be believed, by the test that had to fail."""
    found = {test.id: test for test in suite.tests}.get(canary.id)
    file = PurePosixPath(canary.path)
    if found is None and any(file == PurePosixPath(name) for name in suite.uncollected):
        return "the test that must fail could not be collected"
    if found is None:
        return "the test that must fail was not reported"
    if found.status not in (Status.FAILED, Status.ERROR):
        return f"the test that must fail was reported as {found.status}"
    return ""
