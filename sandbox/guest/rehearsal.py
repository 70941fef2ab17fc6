"""Goes through a whole run a few times, before the first one that counts.

The interpreter adapts its byte code to what it meets and remembers where attributes were found. It
does so by writing to memory, so in a fork that has never run this code each such note costs the
copy of a page, and is lost at its end. What is adapted before the forks is so in all of them.
Measured with Python 3.11: a sixth less cpu time for a run.

Program and tests are those below, and nobody's.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import socket
import sys
from typing import Any

from . import endless, kernel

_TIMES = 24
_PRELUDE = '''
from typing import Any, Dict, List, Optional, Tuple
import math


def rehearse(values: List[Any], more: Any = None) -> Any:
    """Gives back something of each kind.

    >>> rehearse([])
    []
    """
'''
_PROGRAM = (
    _PRELUDE
    + """
    found = {"key": [1, -2.5, None, True], 3: (4, "five")}
    if more is None:
        return list(values)
    if more == "raise":
        raise ValueError("as asked")
    return {"text": "some text", "found": found, "set": {1, 2}, "more": more}.get(more, values)
"""
)
_TESTS = """
METADATA = {"author": "nobody"}


def check(candidate):
    assert candidate([]) == []
    assert candidate([1, 2, 3]) == [1, 2, 3]
    assert candidate([1.5, "x", None, True, (1, 2)]) == [1.5, "x", None, True, (1, 2)]
    assert abs(candidate([0.5])[0] - 0.5) < 1e-6
    assert candidate([], "text") == "some text", "a message"
    assert candidate([], "found") == {"key": [1, -2.5, None, True], 3: (4, "five")}
    assert candidate([], more="set") == {1, 2}
    assert candidate([], "none") == ["wrong"]
    assert True, "not about the candidate"
    for number in range(3):
        values = [number] * number
        assert candidate(values) == values
    try:
        candidate([], "raise")
        assert False
    except ValueError:
        pass
"""
_LIMITS = {"wall_seconds": 10.0, "reply_bytes": 1 << 20, "judge_seconds": 10.0}
_PUBLIC: dict[str, Any] = {
    "program": _PROGRAM,
    "module": "rehearsal",
    "language": "python",
    "kind": "function",
    "limits": _LIMITS,
}
_PRIVATE: dict[str, Any] = {
    "tests": [
        {"kind": "asserts", "source": _TESTS, "function": "check", "filename": "rehearsal_tests.py"}
    ],
    "prelude": _PRELUDE,
    "entry_point": "rehearse",
    "module": "rehearsal",
    "kind": "function",
    "limits": _LIMITS,
    "seed": 0,
    "mutates": False,
}


def rehearse(role: str) -> None:
    """Plays the part of `judge` or `zygote` here, and the other one in a fork.

    It is the same fork each time: it has to import first what this process won't have.
    """
    pairs = [socket.socketpair() for _ in range(_TIMES)]
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            kernel.die_with_parent()
            for ours, _theirs in pairs:
                ours.close()
            for _ours, theirs in pairs:
                with contextlib.suppress(Exception):
                    _play("zygote" if role == "judge" else "judge", theirs)
        os._exit(0)
    for _ours, theirs in pairs:
        theirs.close()
    for ours, _theirs in pairs:
        with contextlib.suppress(OSError):
            _play(role, ours)
        ours.close()
    os.waitpid(pid, 0)
    sys.modules.pop("rehearsal", None)
    signal.signal(endless.ENDED_BY, signal.SIG_DFL)  # as every process here is to find it
    random.seed()
    gc.collect()


def _play(role: str, sock: socket.socket) -> None:
    from .slot import plain_socket

    if role == "judge":
        from . import judge

        with contextlib.closing(plain_socket(sock.detach())) as plain:
            judge.judge(_PRIVATE, plain)
        return
    from . import child

    with contextlib.closing(plain_socket(sock.detach())) as plain:
        child.answer(plain, _PUBLIC)
