"""Breaks off a call that takes too long, from within its process."""

from __future__ import annotations

import signal
from typing import Any


class TimeUp(BaseException):
    """A call took too long. No `except Exception` catches it."""


def set_alarm(cpu_seconds: float, wall_seconds: float) -> None:
    """Raises `TimeUp` in the main thread then, and again and again, should one be swallowed.

    Args:
        cpu_seconds: that the process may use from now on.
        wall_seconds: that may pass.
    """
    for kind in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(kind, _time_up)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds, 0.05)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds, 0.2)


def clear_alarm() -> None:
    """Lets the process take its time again."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _time_up(_number: int, _frame: Any) -> None:
    raise TimeUp
