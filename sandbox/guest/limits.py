"""Limits in the kernel's terms, and what the kernel says of who broke them."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from typing import Any

from .lockdown import Rlimits

_OOM_COUNTERS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
)
_COUNTER_BYTES = 4096


def rlimits(limits: dict[str, Any], base_bytes: int) -> Rlimits:
    """The kernel's limits for one program; memory counts on top of the preloaded interpreter."""
    return Rlimits(
        cpu_seconds=whole_seconds(limits["cpu_seconds"]),
        address_space=base_bytes + int(limits["memory_mb"] * (1 << 20)),
        processes=int(limits["pids"]),
        file_bytes=int(limits["file_mb"] * (1 << 20)),
    )


def ran_out_of_cpu(number: int, cpu: float, limit: int) -> bool:
    """Whether a process that a signal ended was ended by the kernel for its cpu time.

    The kernel enforces the limit by sampled ticks and reports precise time, which on a busy
    machine is up to a third less; so half of the limit is taken as evidence.
    """
    return number in (signal.SIGKILL, signal.SIGXCPU) and cpu >= limit / 2


def whole_seconds(seconds: float) -> int:
    """The kernel counts cpu time in whole seconds: rounded up, at least one."""
    return max(1, int(-(-seconds // 1)))


def inodes(scratch_bytes: int) -> int:
    """How many files and folders a scratch space of that size takes: one for each 16 KiB."""
    return max(4096, scratch_bytes >> 14)


def address_space() -> int:
    """Bytes of address space that this process has mapped."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")


def ended(pid: int) -> bool:
    """Whether a child has ended, leaving its status to be collected."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is not None


def oom_kills() -> int:
    """How often the kernel has killed for lack of memory in this container, 0 if unknown."""
    with contextlib.suppress(OSError, ValueError):
        for line in _read(_oom_counter()).splitlines():
            name, _, count = line.partition(b" ")
            if name == b"oom_kill":
                return int(count)
    return 0


@functools.cache
def _oom_counter() -> str:
    """The file of the kernel's counter, which is read at every run; empty where there is none."""
    for path in _OOM_COUNTERS:
        with contextlib.suppress(OSError):
            _read(path)
            return path
    return ""


def _read(path: str) -> bytes:
    """The little that is in a file of the kernel's, without what `open` puts round it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _COUNTER_BYTES)
    finally:
        os.close(descriptor)
