"""Verdicts on tasks whose tests need the program's own process: as a repository of two files.

The program is the one source that may change, the tests are its suite. All that the repository
verifier does against cheats holds (tests put in place afterwards, a supervisor, a test that must
fail, expected tests by name), and so does what it can't do; hence `trust: in-process`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sandbox.base import Sandbox
from sandbox.jobs import Limits
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PublicTask, PytestTests, StdioTests, Tests

from .repository import File, RepositoryVerifier, Snapshot, SuiteOptions
from .verdict import TestResult, Verdict, reward

_SUITE_SECONDS = 10.0
"""Cpu time on top of the program's, for pytest's start and the tests' own work."""

_ANYTHING = """
class _Kind(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Kind(name, (), {})


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Kind(name, (), {})
"""
"""A module with every name, by which a test file is collected before any candidate is seen."""

_ASSERTS = """
import {module}

SOURCE = {source!r}


def test_asserts():
    names = {{**vars({module}), "__name__": "tests"}}
    exec(compile(SOURCE, {filename!r}, "exec"), names)
    if {function!r}:
        names[{function!r}](names[{entry_point!r}])
"""
"""Assert-style tests as one pytest test."""


class InProcess:
    """Judges programs in the process of their tests.

    Args:
        sandbox: where they run; opened and closed by the caller.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._expected: dict[str, tuple[tuple[str, ...], str]] = {}

    async def verify(
        self,
        task: PublicTask,
        program: str,
        tests: Sequence[Tests],
        *,
        limits: Limits,
        seed: int,
        fresh: bool,
    ) -> Verdict:
        """The verdict on one program, `trust: in-process`.

        Raises:
            sandbox.errors.SandboxError: the sandbox can't be had at all.
        """
        pristine = _snapshot(task, tests)
        options = SuiteOptions(
            limits=limits.model_copy(
                update={
                    "cpu_seconds": limits.cpu_seconds + _SUITE_SECONDS,
                    "wall_seconds": limits.wall_seconds + _SUITE_SECONDS,
                }
            ),
            seed=seed,
        )
        verifier = RepositoryVerifier(self._sandbox, pristine, options)
        expected, broken = await self._names(verifier, pristine)
        if broken:
            return self._broken(broken)
        verdict = await verifier.verify(
            {f"{task.module}.py": program}, fail_to_pass=expected, fresh=fresh
        )
        results = tuple(_result(found, tests) for found in verdict.tests)
        believed = verdict.outcome is not Outcome.PROTOCOL
        return verdict.model_copy(
            update={
                "tests": results,
                "reward": reward(results, passed=verdict.passed) if believed else 0.0,
            }
        )

    async def _names(
        self, verifier: RepositoryVerifier, pristine: Snapshot
    ) -> tuple[tuple[str, ...], str]:
        """The ids of the tests, found without any candidate, or why there are none."""
        key = hashlib.sha256(pristine.archive()).hexdigest()
        if key not in self._expected:
            base = await verifier.baseline()
            names = (*base.passing, *base.failing, *base.flaky, *base.skipped, *base.not_run)
            broken = next(
                (f"{name} can't be collected: {why}" for name, why in base.uncollected.items()),
                "" if names else base.broken or "no test was found",
            )
            self._expected[key] = names, broken
        return self._expected[key]

    def _broken(self, reason: str) -> Verdict:
        return Verdict(
            outcome=Outcome.ERROR,
            reward=0.0,
            detail=reason,
            broken=reason,
            trust="in-process",
            isolation=self._sandbox.level,
            reduced=self._sandbox.reduced,
        )


def _snapshot(task: PublicTask, tests: Sequence[Tests]) -> Snapshot:
    files = {f"{task.module}.py": File(content=_ANYTHING.encode())}
    for number, test in enumerate(tests):
        if not isinstance(test, StdioTests):
            files[_file_name(test, number)] = File(content=_text(task, test).encode())
    return Snapshot(files=files)


def _file_name(test: AssertTests | PytestTests, number: int) -> str:
    return f"test_{number}_{'file' if isinstance(test, PytestTests) else 'asserts'}.py"


def _text(task: PublicTask, test: AssertTests | PytestTests) -> str:
    if isinstance(test, PytestTests):
        return test.source
    return _ASSERTS.format(
        module=task.module,
        source=test.source,
        filename=test.filename,
        function=test.function or "",
        entry_point=task.entry_point,
    )


def _result(found: TestResult, tests: Sequence[Tests]) -> TestResult:
    """A test under the name that its own file gives it, with its weight."""
    file, _, name = found.name.partition("::")
    test = tests[int(file.split("_")[1])]
    weight = 1.0 if isinstance(test, StdioTests) else test.weights.get(name, 1.0)
    return found.model_copy(update={"name": name, "weight": weight})
