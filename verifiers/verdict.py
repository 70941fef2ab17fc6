"""The verdict on one candidate: per-test outcomes, the reason a run ended, and a reward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sandbox.jobs import Observation, Report, TestReport
from sandbox.outcome import Outcome
from tasks.model import StdioTests, Tests

_NOT_PASSED_CEILING = 0.99


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TestResult(_Frozen):
    """One test's outcome.

    Attributes:
        name: the assertion's text, the test function's id, or the case's name.
        outcome: how it ended.
        detail: got and expected, the exception, or the shrunk counter-example.
        line: in the test's source, 0 if unknown.
        weight: its share of the reward, relative to the others.
        counts: whether it consults the candidate; others never add to the reward.
        vouched: whether it rests on nothing but the word of the candidate's own objects, such as
            that one equals another; see docs/trust.md.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    line: int = 0
    weight: float = 1.0
    counts: bool = True
    vouched: bool = False


class Verdict(_Frozen):
    """What is known of a candidate after it was run.

    Attributes:
        outcome: of the run as a whole; `passed` only if every test passed.
        reward: the weighted partial pass rate, in [0, 1]; 1 only if passed.
        tests: each test's result.
        detail: the reason in a line or a few.
        trust: `isolated` where no process that imported the candidate held a test.
        isolation: the level reached, e.g. `docker/slot`.
        reduced: whether that level is less than full isolation.
        broken: why the tests themselves can't be used, or empty.
        cpu_seconds: of the program.
        seconds: wall time of the run.
        memory_bytes: the program's largest resident size.
        output: the tail of what the program printed.
        cached: whether it was known already.
        probes: what it did on each of the task's probes that was made. Nothing else in a verdict
            depends on them.
        size: of the program's code, in nodes of its syntax tree; 0 where nobody has counted.
        trapped: of a repository's final verdict, how many of the expected tests were also made to
            fail, and were reported so.
    """

    outcome: Outcome
    reward: float
    tests: tuple[TestResult, ...] = ()
    detail: str = ""
    trust: Literal["isolated", "in-process"] = "isolated"
    isolation: str = ""
    reduced: bool = False
    broken: str = ""
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    memory_bytes: int = 0
    output: str = ""
    cached: bool = False
    probes: tuple[Observation, ...] = ()
    size: int = 0
    trapped: int = 0

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return self.outcome is Outcome.PASSED

    @property
    def counted(self) -> tuple[TestResult, ...]:
        """The tests that say something of the candidate."""
        return tuple(test for test in self.tests if test.counts)

    @property
    def vouched(self) -> int:
        """How many of them passed on nothing but the word of the candidate's own objects."""
        return sum(test.vouched and test.outcome is Outcome.PASSED for test in self.counted)


def from_report(report: Report, tests: Sequence[Tests], *, reduced: bool) -> Verdict:
    """The verdict that a sandbox's report amounts to."""
    results = tuple(_result(found, tests) for found in report.tests)
    return Verdict(
        outcome=report.outcome,
        reward=reward(results, passed=report.outcome is Outcome.PASSED),
        tests=results,
        detail=report.detail,
        isolation=report.isolation,
        reduced=reduced,
        broken=report.broken,
        cpu_seconds=report.cpu_seconds,
        seconds=report.wall_seconds,
        memory_bytes=report.memory_bytes,
        output=report.output,
        probes=report.probes,
    )


def rejected(outcome: Outcome, detail: str, *, isolation: str, reduced: bool) -> Verdict:
    """The verdict on a program that was never run."""
    return Verdict(outcome=outcome, reward=0.0, detail=detail, isolation=isolation, reduced=reduced)


def refused(reason: str, *, isolation: str, reduced: bool) -> Verdict:
    """The verdict where the tests need the program's own process and that is not allowed."""
    why = (
        f"{reason}; such tests run in the program's own process, which could fool them: "
        "--allow-in-process accepts that"
    )
    return Verdict(
        outcome=Outcome.ERROR,
        reward=0.0,
        detail=why,
        broken=why,
        trust="in-process",
        isolation=isolation,
        reduced=reduced,
    )


def reward(results: Sequence[TestResult], *, passed: bool) -> float:
    """The weighted share of tests passed, among those that consult the candidate.

    A statement beside the tests that failed counts against it; below 1 unless all passed.
    """
    if passed:
        return 1.0
    total = sum(test.weight for test in results if test.counts or test.outcome != Outcome.PASSED)
    gained = sum(test.weight for test in results if test.counts and test.outcome == Outcome.PASSED)
    return min(gained / total, _NOT_PASSED_CEILING) if total > 0 else 0.0


def _result(found: TestReport, tests: Sequence[Tests]) -> TestResult:
    return TestResult(
        name=found.name,
        outcome=found.outcome,
        detail=found.detail,
        line=found.line,
        weight=_weight(found, tests),
        counts=found.counts,
        vouched=found.vouched,
    )


def _weight(found: TestReport, tests: Sequence[Tests]) -> float:
    if found.file >= len(tests):
        return 1.0
    test = tests[found.file]
    if isinstance(test, StdioTests):
        return next((case.weight for case in test.cases if case.name == found.name), 1.0)
    return test.weights.get(found.name, 1.0)
