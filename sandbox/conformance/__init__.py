"""A conformance suite for sandboxes: what a backend has to hold before it is believed.

    report = await conform(build, SandboxOptions(slots=2))
    assert report.ok, report.summary()

The checks use nothing but `sandbox.base.Sandbox`, so any backend can be put to them: the ones
that are shipped, those of other packages, and those of this machine, by `regreen doctor --deep`.
Each program that attacks ends by itself and harms nothing even where no wall stops it.
"""

from __future__ import annotations

from .bench import Bench
from .model import GROUPS, Check, CheckResult, ConformanceReport, Unmet
from .suite import Listener, all_checks, conform

__all__ = [
    "GROUPS",
    "Bench",
    "Check",
    "CheckResult",
    "ConformanceReport",
    "Listener",
    "Unmet",
    "all_checks",
    "conform",
]
