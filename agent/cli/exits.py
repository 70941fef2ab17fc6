"""Exit codes.

0    verified; for `eval` and a batch `verify`: completed
1    not verified
2    usage or configuration
3    infrastructure: sandbox, engine, model server, disk
4    budget exhausted
5    `fix` only: the failure can't be reproduced
130  interrupted

A fault in Regreen itself ends with 3 and a traceback: it must not look like "not verified".
`agent.cli.errors` says which error ends with which.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the shell sees."""

    VERIFIED = 0
    NOT_VERIFIED = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    BUDGET = 4
    NOT_REPRODUCED = 5
    INTERRUPTED = 130


class UsageError(Exception):
    """The command's words are off. One line."""


class OutputError(Exception):
    """A result can't be written where it was asked for. One line."""
