"""What a model is told of its failed program: bounded, and of visible tests only.

It is made of a verdict by the task's visible tests and of nothing else, so there is no way for a
hidden test into it. What the candidate itself says (messages, values) comes from a sandbox and is
cut and kept on few lines, but is otherwise passed on: it goes to the model that wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agent.search.base import without_addresses
from sandbox.outcome import Outcome
from tasks.model import PublicTask, StdioCase, StdioTests
from verifiers.verdict import TestResult, Verdict

LONGEST = 2_000
"""Characters of the whole text, about 500 tokens."""
_SHOWN = 3
"""Failing tests shown in full; the others are counted."""
_LONGEST_VALUE = 300
_TRACE_LINES = 4
_BREACHES = {
    Outcome.TIMEOUT: "It ran out of time",
    Outcome.MEMORY: "It ran out of memory",
    Outcome.PIDS: "It started too many processes or threads",
    Outcome.DISK: "It wrote too much to the disk",
    Outcome.OUTPUT: "It printed too much",
    Outcome.CRASH: "It crashed",
    Outcome.PROTOCOL: "It broke the conversation with its tests",
}


class Failure(BaseModel):
    """One test that failed.

    Attributes:
        test: what was asked: an assertion, a test function, or a case with its input.
        outcome: how it ended.
        detail: got and expected, the exception, or the shrunk counter-example.
        trace: the candidate's own lines of the traceback, the innermost last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: str
    outcome: Outcome
    detail: str = ""
    trace: tuple[str, ...] = ()


class Feedback(BaseModel):
    """Why a program failed.

    Attributes:
        reason: in a line: what ended the run, or the gate's reason for not running it at all.
        passed: tests that passed.
        total: tests in all.
        failures: the failing tests, the one with the smallest input first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = ""
    passed: int = 0
    total: int = 0
    failures: tuple[Failure, ...] = ()

    def text(self, longest: int = LONGEST) -> str:
        """As a model reads it, in at most `longest` characters."""
        parts = [self.reason] if self.reason else []
        if self.total:
            parts.append(f"It passes {self.passed} of {self.total} tests.")
        for failure in self.failures[:_SHOWN]:
            parts.append("\n".join(_lines(failure)))
        if len(self.failures) > _SHOWN:
            parts.append(f"{len(self.failures) - _SHOWN} more tests fail.")
        return _cut("\n".join(parts), longest)


def feedback(task: PublicTask, verdict: Verdict) -> Feedback:
    """What can be said of a verdict.

    Args:
        task: as the search sees it; the inputs of its visible cases are looked up by name.
        verdict: by the task's visible tests.
    """
    failed = [test for test in verdict.tests if test.outcome is not Outcome.PASSED]
    inputs = _inputs(task)
    failures = sorted(
        (_failure(test, inputs) for test in failed if test.name != "import"),
        key=lambda one: (len(one.test), one.test),
    )
    counted = verdict.counted
    return Feedback(
        reason=_reason(verdict, failed),
        passed=sum(test.outcome is Outcome.PASSED for test in counted),
        total=len(counted),
        failures=tuple(failures),
    )


def _reason(verdict: Verdict, failed: Sequence[TestResult]) -> str:
    """What goes before the tests; where they say all themselves, nothing."""
    if verdict.outcome in (Outcome.SYNTAX, Outcome.ERROR) and not verdict.tests:
        return _cut(f"It can't be run: {without_addresses(verdict.detail)}", _LONGEST_VALUE)
    broken_at_import = next((test for test in failed if test.name == "import"), None)
    if broken_at_import is not None:
        failure = _failure(broken_at_import, {})
        lines = [f"It fails before any test: {failure.detail}", *failure.trace]
        return "\n".join(lines)
    breach = _BREACHES.get(verdict.outcome)
    if breach is not None:
        return _cut(f"{breach}: {without_addresses(verdict.detail)}", _LONGEST_VALUE)
    return ""


def _failure(test: TestResult, inputs: dict[str, StdioCase]) -> Failure:
    head, *rest = without_addresses(test.detail).split("\n")
    case = inputs.get(test.name)
    return Failure(
        test=_cut(_asked(case) if case is not None else test.name, _LONGEST_VALUE),
        outcome=test.outcome,
        detail=_cut(head, _LONGEST_VALUE),
        trace=tuple(_cut(line.strip(), _LONGEST_VALUE) for line in rest[-_TRACE_LINES:]),
    )


def _asked(case: StdioCase) -> str:
    arguments = f" with arguments {list(case.args)}" if case.args else ""
    return f"input {case.stdin!r}{arguments}"


def _inputs(task: PublicTask) -> dict[str, StdioCase]:
    return {
        case.name: case
        for tests in task.visible
        if isinstance(tests, StdioTests)
        for case in tests.cases
    }


def _lines(failure: Failure) -> list[str]:
    head = f"- {failure.test}: {failure.detail or failure.outcome}"
    return [head, *(f"  {line}" for line in failure.trace)]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
