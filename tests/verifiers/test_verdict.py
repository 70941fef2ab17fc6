"""Rewards: weights, ceilings, what counts; reports become verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.jobs import Report, TestReport
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PytestTests, StdioCase, StdioTests
from verifiers.verdict import TestResult, Verdict, from_report, rejected, reward


def result(passed: bool, *, weight: float = 1.0, counts: bool = True) -> TestResult:
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return TestResult(name="t", outcome=outcome, weight=weight, counts=counts)


results = st.lists(
    st.builds(
        result, st.booleans(), weight=st.sampled_from([0.0, 0.5, 1.0, 3.0]), counts=st.booleans()
    ),
    max_size=8,
)


@settings(deadline=None)
@given(results)
def test_reward_is_a_share_and_one_only_if_passed(found: list[TestResult]) -> None:
    value = reward(found, passed=False)
    assert 0 <= value < 1
    assert reward(found, passed=True) == 1
    if not any(test.counts and test.weight and test.outcome is Outcome.PASSED for test in found):
        assert value == 0


@settings(deadline=None)
@given(results, st.integers(0, 7))
def test_one_more_pass_never_lowers_the_reward(found: list[TestResult], at: int) -> None:
    if at >= len(found) or not found[at].counts:
        return
    better = list(found)
    better[at] = found[at].model_copy(update={"outcome": Outcome.PASSED})
    assert reward(better, passed=False) >= reward(found, passed=False)


def test_reward_by_weight() -> None:
    found = [result(True, weight=3), result(False, weight=1), result(False, weight=2)]
    assert reward(found, passed=False) == 0.5
    assert reward([result(False)], passed=False) == 0
    assert reward([], passed=False) == 0


def test_only_what_consults_the_candidate_counts() -> None:
    idle = result(True, counts=False)
    assert reward([idle, idle, result(False)], passed=False) == 0
    assert reward([idle, result(True), result(False)], passed=False) == 0.5
    # a statement beside the tests that raised counts against
    assert reward([result(True), result(False, counts=False)], passed=False) == 0.5


def test_all_tests_passed_and_the_run_still_failed_stays_below_one() -> None:
    assert reward([result(True), result(True)], passed=False) == 0.99


def test_report_becomes_a_verdict_with_weights_by_file_and_name() -> None:
    def test(name: str, file: int, outcome: Outcome = Outcome.PASSED) -> TestReport:
        return TestReport(name=name, outcome=outcome, file=file, line=3, detail="d")

    report = Report(
        outcome=Outcome.TIMEOUT,
        detail="cpu",
        tests=(
            test("a", 0),
            test("a", 1, Outcome.FAILED),
            test("one", 2),
            test("two", 2),
            test("a", 9),
        ),
        cpu_seconds=1.5,
        wall_seconds=2.5,
        memory_bytes=3,
        output="out",
        isolation="local/x",
    )
    tests = (
        AssertTests(source="", weights={"a": 2.0}),
        PytestTests(source="", weights={"a": 4.0, "b": 9.0}),
        StdioTests(cases=(StdioCase(name="one", stdout="", weight=0.5),)),
    )
    verdict = from_report(report, tests, reduced=True)
    assert [one.weight for one in verdict.tests] == [2.0, 4.0, 0.5, 1.0, 1.0]
    assert verdict.reward == pytest.approx(4.5 / 8.5)
    assert verdict.outcome is Outcome.TIMEOUT
    assert (verdict.cpu_seconds, verdict.seconds, verdict.memory_bytes) == (1.5, 2.5, 3)
    assert (verdict.output, verdict.isolation, verdict.reduced) == ("out", "local/x", True)
    assert (verdict.trust, verdict.cached, verdict.passed) == ("isolated", False, False)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_rejected_program_has_no_tests_and_no_reward() -> None:
    verdict = rejected(Outcome.SYNTAX, "line 1", isolation="x", reduced=False)
    assert (verdict.reward, verdict.tests, verdict.passed) == (0.0, (), False)
    assert verdict.counted == ()
