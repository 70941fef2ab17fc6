"""Where the fault may be: functions ranked by the tests that come to them, and by tracebacks.

The spectrum is a static one: a test comes to what it names, and to what that names in turn. Its
formula is Ochiai's (Abreu, Zoeteweij and van Gemund, "On the Accuracy of Spectrum-based Fault
Localization", 2007). What a traceback names counts more, the nearer to its end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from agent.fix.functions import Function, Functions, imported_modules, module_name
from agent.fix.targets import Targets
from verifiers.repository import Snapshot

_DEPTH = 4
"""Steps from a test by names. Farther away nearly everything is reached."""
_NEARER = 0.7
"""What a function counts for, over one that is a step nearer to the failing tests."""
_LAST_FRAME, _FRAME = 3.0, 1.5
"""What counts more: the function that raised, and one that called it."""
_IMPORTED = 2.0
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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    name: str
    line: int
    last: int
    score: float
    lines: tuple[int, ...] = ()


def find_suspects(
    snapshot: Snapshot, sources: Iterable[str], targets: Targets
) -> tuple[Suspect, ...]:
    """The functions of the sources that a failing test may come to, most suspicious first.

    Args:
        snapshot: the repository.
        sources: files that may be changed.
        targets: its failing and passing tests.
    """
    known = tuple(sources)
    tests = [*targets.failing, *_spread(targets.passing)]
    test_files = {test.partition("::")[0] for test in tests}
    helpers = [path for path in snapshot.files if path.endswith("conftest.py")]
    functions = Functions(snapshot, [*known, *sorted(test_files - {*known}), *helpers])
    near = _near(functions, snapshot, targets.failing)
    passing = _spectrum(functions, _spread(targets.passing))
    frames = _frames(functions, targets.failing)
    imported: set[str] = set()
    for path in {test.partition("::")[0] for test in targets.failing}:
        imported |= imported_modules(snapshot.text(path) or "")
    found = [
        Suspect(
            path=one.path,
            name=one.name,
            line=one.first,
            last=one.last,
            score=_ochiai(reached, passing.get(one, 0), len(targets.failing))
            * _NEARER ** (steps - 1)
            * (_IMPORTED if module_name(one.path) in imported else 1.0)
            * max((weight for weight, _ in frames.get(one, ())), default=1.0),
            lines=tuple(sorted({line for _, line in frames.get(one, ())})),
        )
        for one, (reached, steps) in near.items()
        if one.path in known
    ]
    return tuple(sorted(found, key=lambda one: (-one.score, one.path, one.line)))


def _ochiai(failing: int, passing: int, all_failing: int) -> float:
    return failing / math.sqrt(max(1, all_failing) * (failing + passing)) if failing else 0.0


def _near(
    functions: Functions, snapshot: Snapshot, failing: Mapping[str, str]
) -> dict[Function, tuple[int, int]]:
    """How many failing tests come to each function, and in how few steps."""
    found: dict[Function, tuple[int, int]] = {}
    for test, detail in failing.items():
        reached: dict[Function, int] = {}
        if (start := functions.of_test(test)) is not None:
            reached |= functions.reached(start, _DEPTH)
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
            known[start] = tuple(functions.reached(start, _DEPTH))
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
                weight = _LAST_FRAME if number == len(frames) - 1 else _FRAME
                found.setdefault(function, []).append((weight, line))
    return found


def _spread(tests: tuple[str, ...]) -> tuple[str, ...]:
    return tests[:: max(1, len(tests) // _PASSING)]
