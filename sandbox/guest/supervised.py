"""One locked-down process that runs a stranger's suite or command, watched from outside of it.

Trusted guest code, on the candidates' side: what every supervisor does, whatever its process is
for. It lays out the tree, moves what the process sends and prints, ends it where it breaks a limit,
and says how it ended.
"""

from __future__ import annotations

import contextlib
import io
import os
import selectors
import signal
import tarfile
import time
from collections.abc import Callable
from typing import Any

from .limits import ended, oom_kills, ran_out_of_cpu, whole_seconds

TREE, TMP, META = "tree", "tmp", "meta"
DESCRIPTORS = 1024
_TAIL = 16_384

Breach = tuple[str, str]
"""A limit that was broken: which, and how."""
Take = Callable[[bytes], Breach | None]


class Supervised:
    """The watch over one process after the other.

    Args:
        limits: of the job; that on printed bytes counts over all processes.
    """

    def __init__(self, limits: dict[str, Any]) -> None:
        self._limits = limits
        self._tail = b""
        self._printed = 0
        self._ooms = oom_kills()

    def watch(self, pid: int, sent: int, take: Take, out: int, started: float) -> Breach | None:
        """Moves bytes until the process has ended, or breaks a limit.

        Args:
            pid: of the process.
            sent: descriptor by which it sends what it is there for; closed at the end.
            take: takes that.
            out: descriptor of what it prints; closed at the end.
            started: from when on wall time counts.
        """
        allowed = float(self._limits["wall_seconds"])
        takers = {sent: take, out: self._take_output}
        with selectors.DefaultSelector() as selector:
            for descriptor in takers:
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            try:
                while True:
                    left = started + allowed - time.monotonic()
                    if left <= 0:
                        return "timeout", f"more than {allowed:g} s of wall time"
                    gone = ended(pid)
                    ready = [key.fd for key, _ in selector.select(0 if gone else min(left, 0.05))]
                    for descriptor in ready:
                        data = os.read(descriptor, 1 << 16)
                        if not data:
                            selector.unregister(descriptor)
                        elif breach := takers[descriptor](data):
                            return breach
                    # a daemon that holds the pipes is not waited for
                    if gone and not ready:
                        return None
            finally:
                os.close(sent)
                os.close(out)

    def _take_output(self, data: bytes) -> Breach | None:
        self._printed += len(data)
        self._tail = (self._tail + data)[-_TAIL:]
        if self._printed > self._limits["output_bytes"]:
            return "output", f"more than {self._limits['output_bytes']} bytes of output"
        return None

    def end(self, pid: int, breach: Breach | None, started: float) -> dict[str, Any]:
        """Ends the process if it broke a limit, and says how it ended."""
        if breach:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        cpu = usage.ru_utime + usage.ru_stime
        limit = whole_seconds(self._limits["cpu_seconds"])
        signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if not breach and ran_out_of_cpu(signalled, cpu, limit):
            breach = ("timeout", f"more than {limit} s of cpu time")
        elif not breach and signalled == signal.SIGKILL and oom_kills() > self._ooms:
            breach = ("memory", "the kernel ran out of the container's memory")
        return {
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -signalled,
            "breach": breach,
            "cpu": cpu,
            "seconds": time.monotonic() - started,
            "rss": usage.ru_maxrss * 1024,
            "tail": self._tail.decode("utf-8", "replace"),
        }


def unpack(archive: bytes, folder: str) -> None:
    """Writes out a tree; the controller made the archive, and looked at each name in it."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        for entry in packed:
            path = os.path.join(folder, entry.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if entry.issym():
                os.symlink(entry.linkname, path)
            elif entry.isdir():
                os.makedirs(path, exist_ok=True)
            elif (source := packed.extractfile(entry)) is not None:
                with open(path, "wb") as target:
                    target.write(source.read())
                os.chmod(path, 0o755 if entry.mode & 0o100 else 0o644)
