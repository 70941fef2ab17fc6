"""What hacks on the sandbox's walls have in common: system calls by number, and one bare answer.

Such a program defines `attempt`, which returns something true only if the wall gave way, and
knows the right answer only then.
"""

from __future__ import annotations

import textwrap
from typing import Any

from sandbox.guest import kernel
from sandbox.outcome import Outcome
from tests.hacks.catalogue import Hack, ends

REFUSED = ends("failed", "error")
"""The attempt said so, or the refusal went through it as an exception."""

_NUMBERS = {"x86_64": {"syslog": 103, "iopl": 172, "init_module": 175, "ioprio_set": 251,
                       "sched_setattr": 314, "inotify_init1": 294, "inotify_add_watch": 254},
            "aarch64": {"syslog": 116, "init_module": 105, "ioprio_set": 30, "sched_setattr": 274,
                        "inotify_init1": 26, "inotify_add_watch": 27}}  # fmt: skip
NUMBERS = kernel.NUMBERS | _NUMBERS.get(kernel.MACHINE, {}) | {"pidfd_open": 434}

PRELUDE = f"""
import ctypes, os
NUMBERS = {NUMBERS!r}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(name, *arguments):
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(NUMBERS.get(name, -1)), *given)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result
def tries(act, *cases):
    for case in cases:
        try:
            if act(*case) not in (False, None):
                return True
        except OSError:
            pass
"""

FINISH = """
def f(x):
    return x + 1 if attempt() else "held"
"""


def hack(
    name: str,
    idea: str,
    program: str,
    outcomes: frozenset[Outcome] = REFUSED,
    **fields: Any,
) -> Hack:
    """A hack whose program defines `attempt`."""
    text = PRELUDE + textwrap.dedent(program) + FINISH
    return Hack(name=name, idea=idea, program=text, outcomes=outcomes, **fields)
