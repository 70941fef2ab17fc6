"""How a suite is run, besides what the repository's own settings say."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from sandbox.jobs import Limits

from .patch import Rules

SUITE_LIMITS = Limits(
    cpu_seconds=300,
    wall_seconds=600,
    memory_mb=2048,
    pids=128,
    output_bytes=32 << 20,
    file_mb=256,
)
"""What a suite may use unless it is told otherwise; open the sandbox with the same."""


class SuiteOptions(BaseModel):
    """How a suite is run, besides what the repository's own settings say.

    Attributes:
        runner: what runs the tests, one of `runners.RUNNERS`; empty for what the repository is.
        plugins: pytest plug-ins to load, as modules; no other plug-in is.
        installed: load those as well that the sandbox's requirements announce.
        arguments: the runner's, after the repository's own.
        paths: files and folders to collect from; empty for the repository's choice.
        roots: folders to import from; empty for the top, and `src` where there is one.
        without: ids of tests that are never run, since the suite does not get past them.
        files: patterns of the names of test files; empty for the repository's own.
        rules: what a candidate may change.
        limits: of a run; the sandbox has to be opened with at least these.
        seed: for random numbers and Hypothesis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runner: str = ""
    plugins: tuple[str, ...] = ()
    installed: bool = False
    arguments: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    rules: Rules = Rules()
    limits: Limits = SUITE_LIMITS
    seed: int = 0
