"""Patches that turn some of the failing tests, where none turns them all.

Failing tests need not have one cause: two faults, or one and a want of the machine's. So a patch
counts in part if every failing test that comes to what it changes passes by it, as far as a traced
run can tell. One that leaves such a test failing is no repair but half of one.
"""

from __future__ import annotations

from agent.fix.candidate import Candidate, Identity
from agent.fix.coverage import Coverage
from agent.fix.relevant import Relevant
from agent.fix.targets import Targets
from sandbox.outcome import Outcome
from verifiers.verdict import Verdict


class Partly:
    """Keeps what may be a patch for a part of the targets.

    Args:
        targets: all of them.
        coverage: what each executes.
        relevant: tells which tests come to a patch.
    """

    def __init__(self, targets: Targets, coverage: Coverage, relevant: Relevant) -> None:
        self._targets, self._coverage, self._relevant = targets, coverage, relevant
        self._known: dict[Identity, tuple[frozenset[str], Candidate]] = {}

    def note(self, candidate: Candidate, verdict: Verdict) -> None:
        """Keeps a patch if it breaks nothing and is whole for the tests that come to it."""
        turned = self.turned(candidate, verdict)
        if turned and len(turned) < len(self._targets.failing):
            self._known[candidate.identity] = turned, candidate

    def turned(self, candidate: Candidate, verdict: Verdict) -> frozenset[str]:
        """The targets that a patch turns; none if it breaks a test or is only half a repair."""
        passed = {one.name for one in verdict.tests if one.outcome is Outcome.PASSED}
        judged = {one.name for one in verdict.tests}
        failing = frozenset(self._targets.failing)
        if judged - passed - failing or not self._coverage.failing:
            return frozenset()
        reach = self._relevant.reached(candidate.texts)
        # what was not traced may come to it, too
        untraced = failing - self._coverage.failing
        if reach is None or ((reach & failing) | untraced) & judged - passed:
            return frozenset()
        return failing & passed & reach

    def best(self) -> list[Candidate]:
        """Those that turn the most, in the order in which they were judged."""
        most = max((len(turned) for turned, _ in self._known.values()), default=0)
        return [candidate for turned, candidate in self._known.values() if len(turned) == most]
