"""Where the fault may be: functions ranked by the tests that come to them, and by tracebacks.

Where a traced run says what each test executes, that is the spectrum. Else it is a static one: a
test comes to what it names, and to what that names in turn. What a traceback names counts more,
the nearer to its end, and so does what the failing tests name themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from agent.fix.coverage import Coverage
from agent.fix.functions import Function, Functions, imported_modules, module_name
from agent.fix.spectrum import Formula, FormulaName, formula
from agent.fix.targets import Targets
from verifiers.repository import Snapshot

DEPTH = 4
"""Steps from a test by names. Farther away nearly everything is reached."""
NEARER, _NEARER_SEEN = 0.7, 0.9
"""What a function counts for, over one that is a step nearer to the failing tests by names; and the
same where both are known to be executed."""
_UNSEEN = 0.1
"""The same for one that is named, and that no traced test which fails was seen to enter."""
LAST_FRAME, CALLING_FRAME = 3.0, 1.5
"""What counts more: the function that raised, and one that called it."""
IMPORTED, _IMPORTED_SEEN = 2.0, 1.2
"""The same for functions of a file that a failing test's file imports."""
_FRAME_LINE = re.compile(r"^(?P<path>\S+?\.py):(?P<line>\d+): ", re.MULTILINE)
_PASSING = 400
"""Passing tests that are looked at; of a large suite, evenly spread ones."""


class Suspect(BaseModel):
    """A function that may hold the fault.

    Attributes:
        path: of its file.
        name: qualified, as `Class.method`.
        line: its first.
        last: its last.
        score: how suspicious, relative to the others.
        lines: of it, that a traceback names.
        heat: how suspicious each of its lines is, in [0, 1] of the most suspicious one; only lines
            that failing tests execute have any. Empty where that is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    name: str
    line: int
    last: int
    score: float
    lines: tuple[int, ...] = ()
    heat: dict[int, float] = Field(default={}, exclude=True, repr=False)


def find_suspects(
    snapshot: Snapshot,
    sources: Iterable[str],
    targets: Targets,
    coverage: Coverage | None = None,
    *,
    by: FormulaName = FormulaName.OCHIAI,
) -> tuple[Suspect, ...]:
    """The functions of the sources that a failing test may come to, most suspicious first.

    Args:
        snapshot: the repository.
        sources: files that may be changed.
        targets: its failing and passing tests.
        coverage: what a traced run told of them, if there was one.
        by: the formula.
    """
    known = tuple(sources)
    functions = Functions(snapshot, [*known, *sorted(_test_files(snapshot, targets, known))])
    seen = coverage if coverage is not None and coverage.failing else Coverage()
    ranking = _Ranking(snapshot, functions, targets, seen, formula(by))
    found = [ranking.suspect(one) for one in ranking.reached() if one.path in known]
    return ranked(found)


def ranked(found: Iterable[Suspect]) -> tuple[Suspect, ...]:
    """The most suspicious first; of equal ones, in the order of files and lines."""
    return tuple(sorted(found, key=lambda one: (-one.score, one.path, one.line)))


def _test_files(snapshot: Snapshot, targets: Targets, known: tuple[str, ...]) -> set[str]:
    """Files whose functions are tests, or helpers of tests."""
    tests = [*targets.failing, *spread(targets.passing)]
    helpers = {path for path in snapshot.files if path.endswith("conftest.py")}
    return ({test.partition("::")[0] for test in tests} | helpers) - {*known}


class _Ranking:
    """What is known of each function."""

    def __init__(
        self,
        snapshot: Snapshot,
        functions: Functions,
        targets: Targets,
        seen: Coverage,
        by: Formula,
    ) -> None:
        self._functions, self._seen, self._by = functions, seen, by
        failing, passing = targets.failing, spread(targets.passing)
        self._near = _near(functions, snapshot, failing)
        untraced = {name: failing[name] for name in failing if name not in seen.failing}
        self._blind = _near(functions, snapshot, untraced)
        self._passing = _spectrum(functions, passing)
        self._all = len(failing), len(passing)
        self._frames = _frames(functions, targets.failing)
        self._imported: set[str] = set()
        for path in {test.partition("::")[0] for test in targets.failing}:
            self._imported |= imported_modules(snapshot.text(path) or "")

    def reached(self) -> list[Function]:
        """What failing tests come to, by sight or by name."""
        entered = {one for one in self._functions if self._seen.of(one) & self._seen.failing}
        return [*self._near, *(entered - {*self._near})]

    def suspect(self, one: Function) -> Suspect:
        """One function with all that speaks against it."""
        frames = self._frames.get(one, ())
        return Suspect(
            path=one.path,
            name=one.name,
            line=one.first,
            last=one.last,
            score=self._score(one) * max((weight for weight, _ in frames), default=1.0),
            lines=tuple(sorted({line for _, line in frames})),
            heat=self._heat(one),
        )

    def _score(self, one: Function) -> float:
        """By sight, or by names for the failing tests that nothing was seen of."""
        imported = module_name(one.path) in self._imported
        count, steps = self._blind.get(one, (0, 0))
        named = 1.0
        if not count:
            count, steps = self._near.get(one, (0, DEPTH + 1))
            named = _UNSEEN
        named *= self._by(count, self._passing.get(one, 0), *self._all)
        named *= NEARER ** (steps - 1) * (IMPORTED if imported else 1.0)
        seen = self._sight(self._seen.of(one))
        seen *= _NEARER_SEEN ** (steps - 1) * (_IMPORTED_SEEN if imported else 1.0)
        return max(seen, named)

    def _sight(self, tests: frozenset[str]) -> float:
        """How suspicious a place is by the tests that were seen there."""
        bad, good = self._seen.counts(tests)
        seen = self._seen
        return self._by(bad, good, len(seen.failing), len(seen.passing)) if bad else 0.0

    def _heat(self, one: Function) -> dict[int, float]:
        found = {
            line: heat
            for line in range(one.first, one.last + 1)
            if (heat := self._sight(self._seen.lines.get((one.path, line), frozenset())))
        }
        most = max(found.values(), default=1.0)
        return {line: heat / most for line, heat in found.items()}


def _near(
    functions: Functions, snapshot: Snapshot, failing: Mapping[str, str]
) -> dict[Function, tuple[int, int]]:
    """How many failing tests come to each function, and in how few steps."""
    found: dict[Function, tuple[int, int]] = {}
    for test, detail in failing.items():
        reached: dict[Function, int] = {}
        if (start := functions.of_test(test)) is not None:
            reached |= functions.reached(start, DEPTH)
        for frame in _FRAME_LINE.finditer(detail):
            at = functions.at(frame["path"], int(frame["line"]))
            if at is not None and at != start:
                reached[at] = 1
        if not reached:  # a doctest, or a test that was made by other code: what its file imports
            path = test.partition("::")[0]
            modules = imported_modules(snapshot.text(path) or "") | {module_name(path)}
            reached = {one: 1 for one in functions if module_name(one.path) in modules}
        for one, steps in reached.items():
            count, fewest = found.get(one, (0, steps))
            found[one] = count + 1, min(fewest, steps)
    return found


def _spectrum(functions: Functions, tests: Iterable[str]) -> dict[Function, int]:
    """How many of the tests come to each function."""
    counts: dict[Function, int] = {}
    known: dict[Function, tuple[Function, ...]] = {}
    for test in tests:
        start = functions.of_test(test)
        if start is None:
            continue
        if start not in known:
            known[start] = tuple(functions.reached(start, DEPTH))
        for one in known[start]:
            counts[one] = counts.get(one, 0) + 1
    return counts


def _frames(
    functions: Functions, failing: Mapping[str, str]
) -> dict[Function, list[tuple[float, int]]]:
    """The functions that tracebacks name, with a weight and the line."""
    found: dict[Function, list[tuple[float, int]]] = {}
    for detail in failing.values():
        frames = [(one["path"], int(one["line"])) for one in _FRAME_LINE.finditer(detail)]
        for number, (path, line) in enumerate(frames):
            function = functions.at(path, line)
            if function is not None:
                weight = LAST_FRAME if number == len(frames) - 1 else CALLING_FRAME
                found.setdefault(function, []).append((weight, line))
    return found


def spread(tests: tuple[str, ...]) -> tuple[str, ...]:
    """Of many passing tests evenly spread ones, which are enough to look at."""
    return tests[:: max(1, len(tests) // _PASSING)]
