"""Where the fault may be in JavaScript: functions ranked by tests that come to them, and by stacks.

The spectrum is a static one, by names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from agent.fix.coverage import Coverage
from agent.fix.functions import Function
from agent.fix.javascript.functions import MODULE, ScriptFunctions
from agent.fix.spectrum import FormulaName, formula
from agent.fix.suspects import (
    CALLING_FRAME,
    DEPTH,
    IMPORTED,
    LAST_FRAME,
    NEARER,
    Suspect,
    ranked,
    spread,
)
from agent.fix.targets import Targets
from verifiers.repository import Snapshot

_OUTSIDE = 0.3
"""What code outside of functions counts for, over a function of an imported file."""
_FRAME = re.compile(r"^ +at .*?(?P<path>[^\s():]+\.[cm]?js):(?P<line>\d+):\d+\)?$", re.M)


def find_suspects(
    snapshot: Snapshot,
    sources: Iterable[str],
    targets: Targets,
    _seen: Coverage | None = None,
    by: FormulaName = FormulaName.OCHIAI,
) -> tuple[Suspect, ...]:
    """The functions of the sources that a failing test may come to, most suspicious first.

    Args:
        snapshot: the repository.
        sources: files that may be changed.
        targets: its failing and passing tests.
        by: the formula.
    """
    known, weigh = frozenset(sources), formula(by)
    passing = spread(targets.passing)
    files = {test.partition("::")[0] for test in (*targets.failing, *passing)}
    functions = ScriptFunctions(snapshot, sorted(known | files))
    failing_counts: dict[Function, tuple[int, int]] = {}
    frames: dict[Function, dict[int, float]] = {}
    for test, detail in targets.failing.items():
        for one, steps in _reached(functions, test, detail, frames).items():
            count, fewest = failing_counts.get(one, (0, steps))
            failing_counts[one] = count + 1, min(fewest, steps)
    passing_counts: dict[Function, int] = {}
    for test in passing:
        for one in _reached(functions, test, "", {}):
            passing_counts[one] = passing_counts.get(one, 0) + 1
    imported = {name for file in _files(targets.failing) for name in functions.imported(file)}
    found = [
        Suspect(
            path=one.path,
            name=one.name,
            line=one.first,
            last=one.last,
            score=weigh(count, passing_counts.get(one, 0), len(targets.failing), len(passing))
            * NEARER ** (steps - 1)
            * (IMPORTED if _stem(one.path) in imported else 1.0)
            * (_OUTSIDE if one.name == MODULE else 1.0)
            * max(frames.get(one, {}).values(), default=1.0),
            lines=tuple(sorted(frames.get(one, ()))),
        )
        for one, (count, steps) in failing_counts.items()
        if one.path in known
    ]
    return ranked(found)


def _reached(
    functions: ScriptFunctions, test: str, detail: str, frames: dict[Function, dict[int, float]]
) -> dict[Function, int]:
    """What a test comes to, with the steps to it; what a stack names is noted in `frames`."""
    file = test.partition("::")[0]
    start = functions.of_test(test)
    reached = dict(functions.reached(start, DEPTH)) if start is not None else {}
    for number, frame in enumerate(_FRAME.finditer(detail)):
        at = functions.at(frame["path"], int(frame["line"]))
        if at is not None and at.path != file:
            reached[at] = 1
            weights = frames.setdefault(at, {})
            weight = LAST_FRAME if number == 0 else CALLING_FRAME
            weights[int(frame["line"])] = max(weight, weights.get(int(frame["line"]), 0.0))
    near = functions.imported(file)
    for one in functions:
        if _stem(one.path) in near and (one.name == MODULE or not reached):
            reached.setdefault(one, 1)
    return reached


def _stem(path: str) -> str:
    pure = PurePosixPath(path)
    name = pure.parent.name if pure.stem == "index" else pure.name
    return name.partition(".")[0]


def _files(tests: Mapping[str, str]) -> set[str]:
    return {test.partition("::")[0] for test in tests}
