"""Which failing tests a repair is for: those that fail each time, hanging ones included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from agent.fix.environment.lacking import lacking
from sandbox.base import Sandbox
from verifiers.repository import Baseline, RepositoryVerifier, Snapshot, SuiteOptions

_HANGING = 5
"""Runs that may end in a test that hangs before the suite is given up."""
_ALIKE = 2
"""When so many tests of one function hang, the others of it are taken to."""


class Targets(BaseModel):
    """What is to be turned, and what has to stay.

    Attributes:
        failing: ids of tests that failed in both runs, with the end of the traceback.
        hanging: of these, the ones during which a run's time was over, and tests of the same
            function that were not run for that.
        passing: ids that passed in both runs.
        flaky: ended one way in one run and another way in the other, or came up only once.
        uncollected: files that could not be collected, with the error.
        lacking: tests and files that failed for want of something that no patch can bring, with
            what that is; they are no targets.
        broken: why the suite did not get to its end, or empty.
        seconds: wall time of the slower run, without tests that hang.
        cpu_seconds: cpu time of the run that took more, without tests that hang.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    failing: dict[str, str] = {}
    hanging: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    uncollected: dict[str, str] = {}
    lacking: dict[str, str] = {}
    broken: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def only(self, wanted: Iterable[str]) -> Targets:
        """Those of the failing tests that are meant by ids, or by the beginning of ids."""
        prefixes = tuple(wanted)
        chosen = {
            name: detail
            for name, detail in self.failing.items()
            if any(name == one or name.startswith((f"{one}::", f"{one}[")) for one in prefixes)
        }
        return self.model_copy(update={"failing": chosen})


async def find_targets(sandbox: Sandbox, snapshot: Snapshot, options: SuiteOptions) -> Targets:
    """Runs the suite twice, and again without a test that it hangs in, until it gets to its end.

    Raises:
        sandbox.errors.SandboxError: the sandbox can't be had at all.
        RepositoryError: the repository's settings can't be read.
    """
    hanging: dict[str, str] = {}
    for _ in range(_HANGING + 1):
        own = options.model_copy(update={"without": (*options.without, *hanging)})
        found = await RepositoryVerifier(sandbox, snapshot, own).baseline(patient=False)
        stuck = _stuck(found)
        if not stuck:
            break
        hanging |= stuck
        hanging |= _alike(hanging, found.not_run)
    lacks = lacking(snapshot, {**found.failing, **found.uncollected})
    failing = {**found.failing, **hanging}
    return Targets(
        failing={name: detail for name, detail in failing.items() if name not in lacks},
        hanging=tuple(hanging),
        passing=found.passing,
        flaky=(*found.flaky, *found.changed),
        uncollected={file: error for file, error in found.uncollected.items() if file not in lacks},
        lacking=lacks,
        broken=found.broken,
        seconds=found.seconds,
        cpu_seconds=found.cpu_seconds,
    )


def _stuck(found: Baseline) -> dict[str, str]:
    """The test that a run's time was over in."""
    if not found.broken.startswith("more than"):
        return {}
    return {
        name: detail or found.broken
        for name, detail in found.failing.items()
        if found.broken.endswith(f" in {name}")
    }


def _alike(hanging: Iterable[str], not_run: Iterable[str]) -> dict[str, str]:
    """Tests of functions of which several hang: to wait for each would take too long."""
    counts = Counter(name.partition("[")[0] for name in hanging)
    return {
        name: "not run: other tests of the same function do not end"
        for name in not_run
        if counts[name.partition("[")[0]] >= _ALIKE
    }
