"""How a sandbox can fail to be one.

SandboxError              something is wrong with the sandbox; exit code 3
├── SandboxUnavailableError   no engine, no image, too little granted; says what to do
│   ├── UnknownSandboxError   no backend of that name
│   ├── UnknownRuntimeError   no runtime of that name
│   └── RequirementError      a requirement that can't be had; says which
└── CellLostError             a pair of servers ended while it was needed; retried
"""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox can't do its work. The message is one line."""


class SandboxUnavailableError(SandboxError):
    """This backend can't be had on this machine; the message says what to do."""


class UnknownSandboxError(SandboxUnavailableError):
    """There is no backend of that name; the message lists the known ones."""


class UnknownRuntimeError(SandboxUnavailableError):
    """This backend has no runtime of that name; the message lists those that it has."""


class RequirementError(SandboxUnavailableError):
    """A package that programs need can't be had.

    Attributes:
        name: of the one that was asked for; empty if it can't be told, or if it is none alone.
        conflict: whether it is versions that don't go together.
        reason: what pip said, in a line.
    """

    def __init__(
        self, message: str, *, name: str = "", conflict: bool = False, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.name = name
        self.conflict = conflict
        self.reason = reason or message


class CellLostError(SandboxError):
    """A judge's server or a zygote ended while a run was in it."""
