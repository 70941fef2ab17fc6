"""Verdicts on patches to a repository, by its own pytest suite; `trust: in-process`."""

from .baseline import Baseline
from .patch import Patch, Rules
from .snapshot import File, RepositoryError, Snapshot, SnapshotLimits, read_archive, take_snapshot
from .verifier import SUITE_LIMITS, RepositoryVerifier, SuiteOptions

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
    "take_snapshot",
]
