"""Which tests a patch is run by first: failing ones, and what comes to the functions it changes.

By a traced run where there was one, else those in the files of the failing tests. Test selection by
what is executed is as old as Rothermel and Harrold, "A Safe, Efficient Regression Test Selection
Technique", 1997; here it only says what comes first, since all tests are run of what passes these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from agent.fix.coverage import Coverage, Place, reaching
from agent.fix.functions import Functions
from agent.fix.targets import Targets
from verifiers.repository import Snapshot

_MOST = 60
"""Tests of either kind that are run first; what more come to a function tell what these tell."""


class Relevant:
    """Chooses tests for patches to one repository.

    Args:
        snapshot: the repository.
        sources: files that a patch may change.
        targets: its failing and passing tests.
        coverage: what each executes; empty where that is not known.

    Attributes:
        failing: ids of failing tests that come first; of very many, evenly spread ones.
    """

    def __init__(
        self, snapshot: Snapshot, sources: tuple[str, ...], targets: Targets, coverage: Coverage
    ) -> None:
        failing = tuple(targets.failing)
        self.failing = failing[:: -(-len(failing) // _MOST)] if failing else ()
        self._snapshot, self._targets, self._coverage = snapshot, targets, coverage
        self._functions = Functions(snapshot, sources) if coverage.passing else None
        files = {name.partition("::")[0] for name in targets.failing}
        self._beside = [name for name in targets.passing if name.partition("::")[0] in files]

    def tests(self, patch: Mapping[str, str | None]) -> list[str]:
        """Ids of passing tests, in the order of the suite.

        Args:
            patch: whole new texts by their paths, `None` where a file goes.
        """
        found = self.reached(patch)
        if found is None:
            return self._beside
        # those beside failing tests were traced for certain, the others as there was room
        near = [name for name in self._targets.passing if name in found]
        beside = frozenset(self._beside)
        first = {*sorted(near, key=lambda name: name not in beside)[:_MOST]}
        return [name for name in near if name in first]

    def reached(self, patch: Mapping[str, str | None]) -> frozenset[str] | None:
        """Ids of the traced tests that come to the functions that a patch changes.

        Returns:
            `None` where that isn't known.
        """
        if self._functions is None:
            return None
        return reaching(self._coverage, self._functions, self._changed(patch))

    def _changed(self, patch: Mapping[str, str | None]) -> Iterator[Place]:
        for path, text in patch.items():
            old = (self._snapshot.text(path) or "").splitlines()
            for line in changed_lines(old, (text or "").splitlines()):
                yield path, line


def changed_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[int]:
    """Numbers of the old lines that go; of the one before, where lines are only put in."""
    same = _common(old, new)
    left, right = old[same:], new[same:]
    tail = _common(left[::-1], right[::-1])
    matcher = difflib.SequenceMatcher(
        None, left[: len(left) - tail], right[: len(right) - tail], autojunk=False
    )
    for kind, begin, end, _, _ in matcher.get_opcodes():
        if kind == "insert":
            yield max(1, same + begin)
        elif kind != "equal":
            yield from range(same + begin + 1, same + end + 1)


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines at the beginning are the same."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(old), len(new)))
