"""From what a suite reported to the results of the tests that were expected, and a reward."""

from __future__ import annotations

from pathlib import PurePosixPath

from sandbox.jobs import Report
from sandbox.outcome import Outcome
from sandbox.suite import Status, SuiteReport, SuiteTest
from verifiers.verdict import TestResult

from .runners.base import Canaries

_NOT_PASSED_CEILING = 0.99


def reward(
    passed: set[str], wanted: tuple[str, ...], kept: tuple[str, ...], outcome: Outcome
) -> float:
    """The share of `wanted` that passed, less the share of `kept` that did not; in [0, 1]."""
    if outcome is Outcome.PASSED:
        return 1.0
    turned = sum(name in passed for name in wanted) / len(wanted) if wanted else 1.0
    broken = sum(name not in passed for name in kept) / len(kept) if kept else 0.0
    return min(max(0.0, turned - broken), _NOT_PASSED_CEILING)


def result(name: str, test: SuiteTest | None, suite: SuiteReport, report: Report) -> TestResult:
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


def canary_fault(suite: SuiteReport, canaries: Canaries) -> str:
    """Why a run can't be believed, by the tests that had to fail."""
    found = {test.id: test for test in suite.tests}
    uncollected = {PurePosixPath(name) for name in suite.uncollected}
    for name in canaries.ids:
        test = found.get(name)
        if test is None and PurePosixPath(name.partition("::")[0]) in uncollected:
            if canaries.alone:
                return "the test that must fail could not be collected"
        elif test is None:
            return "the test that must fail was not reported"
        elif test.status not in (Status.FAILED, Status.ERROR):
            return f"the test that must fail was reported as {test.status}"
    return ""
