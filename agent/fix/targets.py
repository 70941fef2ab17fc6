"""Which failing tests a repair is for: those that fail each time, hanging ones included."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from sandbox.base import Sandbox
from verifiers.repository import Baseline, RepositoryVerifier, Snapshot, SuiteOptions

_HANGING = 5
"""Tests that may hang before the rest of the suite is given up."""


class Targets(BaseModel):
    """What is to be turned, and what has to stay.

    Attributes:
        failing: ids of tests that failed in both runs, with the end of the traceback.
        hanging: of these, the ones during which a run's time was over.
        passing: ids that passed in both runs.
        flaky: ended one way in one run and another way in the other, or came up only once.
        uncollected: files that could not be collected, with the error.
        broken: why the suite did not get to its end, or empty.
        seconds: wall time of the slower run, without tests that hang.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    failing: dict[str, str] = {}
    hanging: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    uncollected: dict[str, str] = {}
    broken: str = ""
    seconds: float = 0.0

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
    while True:
        left_out = tuple(f"--deselect={name}" for name in hanging)
        own = options.model_copy(update={"arguments": (*options.arguments, *left_out)})
        found = await RepositoryVerifier(sandbox, snapshot, own).baseline()
        stuck = _stuck(found)
        if not stuck or len(hanging) >= _HANGING:
            break
        hanging |= stuck
    return Targets(
        failing={**found.failing, **hanging},
        hanging=tuple(hanging),
        passing=found.passing,
        flaky=(*found.flaky, *found.changed),
        uncollected=found.uncollected,
        broken=found.broken,
        seconds=found.seconds,
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
