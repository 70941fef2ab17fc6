"""What a repository's suite says before anything is changed, from two runs of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from sandbox.suite import Status, SuiteReport

_BAD = frozenset({Status.FAILED, Status.ERROR, Status.UNFINISHED})


class Baseline(BaseModel):
    """Every test of a suite in one of these.

    Attributes:
        passing: passed in both runs.
        failing: failed in both runs, or ended with an error; with the end of the traceback.
        flaky: ended one way in one run and another way in the other.
        changed: ids that came up in one run only.
        skipped: skipped, or expected to fail, in both runs.
        uncollected: files that could not be collected, with the error.
        not_run: collected, but the run ended before them.
        broken: why a run did not get to its end, or empty.
        seconds: wall time of the slower run.
        cpu_seconds: cpu time of the run that took more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passing: tuple[str, ...] = ()
    failing: dict[str, str] = {}
    flaky: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    uncollected: dict[str, str] = {}
    not_run: tuple[str, ...] = ()
    broken: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def compare(
    first: SuiteReport,
    second: SuiteReport,
    *,
    without: frozenset[str],
    broken: str,
    seconds: float,
    cpu_seconds: float = 0.0,
) -> Baseline:
    """Sorts the tests of two runs.

    Args:
        first: one run.
        second: the other one.
        without: ids that are none of the suite's own.
        broken: why one of them did not get to its end.
        seconds: wall time of the slower one.
        cpu_seconds: cpu time of the one that took more.
    """
    one, two = ({t.id: t for t in run.tests if t.id not in without} for run in (first, second))
    passing, flaky, skipped, not_run = [], [], [], []
    failing: dict[str, str] = {}
    for name in [name for name in one if name in two]:
        kinds = {_kind(one[name].status), _kind(two[name].status)}
        if Status.NOT_RUN in kinds:
            not_run.append(name)
        elif len(kinds) > 1 or name in first.twice or name in second.twice:
            flaky.append(name)
        elif Status.PASSED in kinds:
            passing.append(name)
        elif Status.FAILED in kinds:
            failing[name] = one[name].detail
        else:
            skipped.append(name)
    changed = () if broken else tuple(sorted(set(one) ^ set(two)))
    return Baseline(
        passing=tuple(passing),
        failing=failing,
        flaky=tuple(flaky),
        changed=changed,
        skipped=tuple(skipped),
        uncollected={**first.uncollected, **second.uncollected},
        not_run=tuple(not_run),
        broken=broken,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


def _kind(status: Status) -> Status:
    if status in _BAD:
        return Status.FAILED
    return status if status in (Status.PASSED, Status.NOT_RUN) else Status.SKIPPED
