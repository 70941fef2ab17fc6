"""How a run can end: a closed set of outcomes, and which breach maps to which.

what happened                                              outcome
every test passed                                          passed
an assertion didn't hold, or a reply was no builtin value  failed
the program raised, or left with SystemExit                error
the program is no Python                                   syntax
cpu time or wall time used up, or a loop that never ends   timeout (the detail says which)
MemoryError, or killed for lack of memory                  memory
no more processes or threads allowed                       pids
file too large, or the scratch space full                  disk
more output than allowed                                   output
the process ended without an answer                        crash
a reply that is no reply: malformed, oversized, too many   protocol
the sandbox itself failed                                  infra
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a test, or a whole run, ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SYNTAX = "syntax"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    PIDS = "pids"
    DISK = "disk"
    OUTPUT = "output"
    CRASH = "crash"
    PROTOCOL = "protocol"
    INFRA = "infra"


BREACHES = (
    Outcome.OUTPUT,
    Outcome.MEMORY,
    Outcome.TIMEOUT,
    Outcome.PIDS,
    Outcome.DISK,
    Outcome.PROTOCOL,
)
"""Breaches of a limit, the one that names a run first."""
