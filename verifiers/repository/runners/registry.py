"""Runners by name; others come by the entry-point group `regreen.runners`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from verifiers.repository.options import SuiteOptions
from verifiers.repository.snapshot import RepositoryError, Snapshot

from .base import Runner

ENTRY_POINT_GROUP = "regreen.runners"
RUNNERS = {
    "pytest": "verifiers.repository.runners.pytest:PytestRunner",
    "node": "verifiers.repository.runners.node:NodeRunner",
}
"""In the order in which a repository is offered to them."""
_DEFAULT = "pytest"


def runner_names() -> tuple[str, ...]:
    """The names of all known runners."""
    others = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)} - {*RUNNERS}
    return (*RUNNERS, *sorted(others))


def runner_of(snapshot: Snapshot, name: str = "") -> str:
    """The name of the runner for a repository.

    Args:
        snapshot: the repository.
        name: what the user wants; empty for what the repository is.

    Raises:
        RepositoryError: there is no runner of that name.
    """
    known = runner_names()
    if name and name not in known:
        raise RepositoryError(f"unknown runner {name!r}: known are {', '.join(known)}")
    return name or next((one for one in known if _load(one).recognises(snapshot)), _DEFAULT)


def make_runner(snapshot: Snapshot, options: SuiteOptions) -> Runner:
    """The runner for a repository.

    Raises:
        RepositoryError: there is none of the name that the options have, or the repository's
            settings can't be read.
    """
    return _load(runner_of(snapshot, options.runner))(snapshot, options)


def _load(name: str) -> type[Runner]:
    if name in RUNNERS:
        module, _, attribute = RUNNERS[name].partition(":")
        return cast(type[Runner], getattr(import_module(module), attribute))
    (point, *_) = entry_points(group=ENTRY_POINT_GROUP, name=name)
    return cast(type[Runner], point.load())
