"""What makes two failures the same one: the repository and the tests that fail."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from agent.github.errors import GitHubConfigError

_SLUG = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_CHARS = 16


def check_repository(name: str) -> str:
    """A repository's name as `OWNER/NAME`.

    Raises:
        GitHubConfigError: it is none.
    """
    if not _SLUG.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise GitHubConfigError(f"{name!r} is no repository: write OWNER/NAME")
    return name


def signature(repository: str, tests: Iterable[str]) -> str:
    """A stable hash, hexadecimal, of a repository and the ids of its failing tests.

    Neither the order of the tests nor the case of the repository's name matters.
    """
    parts = [repository.lower(), *sorted(set(tests))]
    data = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:_CHARS]


def branch_name(signature: str) -> str:
    """The branch that the patch for a failure is pushed to."""
    return f"regreen/{signature}"
