"""What a repository needs besides pytest: read from its files, of which nothing is run."""

from __future__ import annotations

from agent.fix.environment.needs import read_needs
from verifiers.repository import Snapshot


def read_requirements(snapshot: Snapshot) -> tuple[str, ...]:
    """The pip requirements of the code and of its tests, each once, sorted.

    Raises:
        RepositoryError: one of the files can't be read.
    """
    return read_needs(snapshot).requirements
