"""What each test executes of the sources, from one traced run: where to look, and what to run.

It comes from the suite's own process, in which the code under test could say what it likes. So it
ranks places and chooses which tests are run first; no verdict rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.fix.functions import Function, Functions
from agent.fix.targets import Targets
from sandbox.base import Sandbox
from sandbox.suite import Status, SuiteTest
from verifiers.repository import RepositoryVerifier, Snapshot, SuiteOptions

_SLOWER, _LEAST_SECONDS = 10.0, 20.0
"""How many times as long as without a trace function a run may take, and how long at the least."""
_LONG_SUITE = 60.0
"""Of a suite that takes more seconds, only the files with failing tests are traced."""
_TESTS = 600
"""Passing tests that are traced; of a large suite those beside failing ones, and some others."""
_LONGEST = 40

Place = tuple[str, int]
"""A file and a line of it."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was executed, by tests of which it is known whether they fail.

    Attributes:
        failing: ids of the failing tests that were traced.
        passing: ids of the passing ones.
        functions: for each function, by its file and first line, the tests that entered it.
        lines: the same for each line of a function.
    """

    failing: frozenset[str] = frozenset()
    passing: frozenset[str] = frozenset()
    functions: Mapping[Place, frozenset[str]] = field(default_factory=dict)
    lines: Mapping[Place, frozenset[str]] = field(default_factory=dict)

    def counts(self, tests: Iterable[str]) -> tuple[int, int]:
        """How many of some tests fail, and how many pass."""
        found = frozenset(tests)
        return len(found & self.failing), len(found & self.passing)

    def of(self, function: Function) -> frozenset[str]:
        """The tests that entered a function."""
        return self.functions.get((function.path, function.first), frozenset())


async def trace(
    sandbox: Sandbox, snapshot: Snapshot, options: SuiteOptions, targets: Targets
) -> Coverage:
    """Runs failing and passing tests once more, watched; empty where nothing was to be seen.

    Tests that hang are left out: they would take all of the time, and tell at their end only.

    Raises:
        sandbox.errors.SandboxError: the sandbox can't be had at all.
    """
    failing = [name for name in targets.failing if name not in targets.hanging]
    names = [*failing, *_chosen(targets, {name.partition("::")[0] for name in targets.failing})]
    if not names:
        return Coverage()
    wall = min(options.limits.wall_seconds, max(_LEAST_SECONDS, _SLOWER * targets.seconds))
    limits = options.limits.model_copy(update={"wall_seconds": wall})
    own = options.model_copy(
        update={"limits": limits, "without": (*options.without, *targets.hanging)}
    )
    report = await RepositoryVerifier(sandbox, snapshot, own).traced(names)
    ended = [one for one in report.tests if one.status not in (Status.NOT_RUN, Status.UNFINISHED)]
    # a report that is foul as a whole was tampered with; what it says of places is as good as none
    return collected(snapshot, () if report.foul else ended, failing, targets.passing)


def collected(
    snapshot: Snapshot, tests: Iterable[SuiteTest], failing: Iterable[str], passing: Iterable[str]
) -> Coverage:
    """Puts together what a traced run tells of each test.

    Args:
        snapshot: the repository; lines that its files don't have are passed over.
        tests: as they were told of.
        failing: ids of tests that fail without a trace, too.
        passing: ids of tests that pass.
    """
    ends = {path: file.content.count(b"\n") + 1 for path, file in snapshot.files.items()}
    bad, good = frozenset(failing), frozenset(passing)
    functions: dict[Place, set[str]] = {}
    lines: dict[Place, set[str]] = {}
    traced: set[str] = set()
    for test in tests:
        if test.id not in bad and test.id not in good:
            continue
        traced.add(test.id)
        for path, (entered, executed) in test.reached.items():
            for first in _numbers(entered, ends.get(path, 0)):
                functions.setdefault((path, first), set()).add(test.id)
            for line in _numbers(executed, ends.get(path, 0)):
                lines.setdefault((path, line), set()).add(test.id)
    return Coverage(
        failing=bad & traced,
        passing=good & traced,
        functions={place: frozenset(found) for place, found in functions.items()},
        lines={place: frozenset(found) for place, found in lines.items()},
    )


def reaching(
    coverage: Coverage, functions: Functions, places: Iterable[Place]
) -> frozenset[str] | None:
    """The tests that come to the functions around some lines.

    Returns:
        `None` where that can't be said: a line is in no function, and so runs at an import.
    """
    found: set[str] = set()
    for path, line in places:
        function = functions.at(path, line)
        if function is None:
            return None
        found |= coverage.of(function)
    return frozenset(found)


def _chosen(targets: Targets, files: set[str]) -> tuple[str, ...]:
    """Which passing tests are traced: all that is in reach, those beside failing ones first."""
    beside = [name for name in targets.passing if name.partition("::")[0] in files]
    others = [name for name in targets.passing if name.partition("::")[0] not in files]
    if targets.seconds > _LONG_SUITE:
        return tuple(beside[:_TESTS])
    left = max(0, _TESTS - len(beside))
    spread = others[:: max(1, -(-len(others) // left))] if left else []
    return (*beside[:_TESTS], *spread)


def _numbers(spans: str, end: int) -> Iterable[int]:
    """Numbers up to `end`, written as `3-5,9`; what is written otherwise is passed over."""
    for span in spans.split(","):
        first, _, last = span.partition("-")
        last = last or span
        if first.isdecimal() and last.isdecimal() and len(span) < _LONGEST:
            yield from range(int(first), min(int(last), end) + 1)
