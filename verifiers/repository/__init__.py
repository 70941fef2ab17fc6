"""Verdicts on patches to a repository, by its own test suite; `trust: in-process`."""

from .baseline import Baseline
from .options import SUITE_LIMITS, SuiteOptions
from .patch import Patch, Rules
from .runners import runner_names, runner_of
from .snapshot import File, RepositoryError, Snapshot, SnapshotLimits, read_archive, take_snapshot
from .verifier import RepositoryVerifier

__all__ = [
    "SUITE_LIMITS",
    "Baseline",
    "File",
    "Patch",
    "RepositoryError",
    "RepositoryVerifier",
    "Rules",
    "Snapshot",
    "SnapshotLimits",
    "SuiteOptions",
    "read_archive",
    "runner_names",
    "runner_of",
    "take_snapshot",
]
