"""What all judges of a repository's suite share: lines of records, and the talk with a supervisor.

A judge makes the key by which records are chained, hands the order to the supervisor on the other
side, takes its messages as they come, and reports what became of each test.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from . import wire

KEY_BYTES = 32
LINE_LIMIT = 1 << 20
_GRACE_SECONDS = 20.0
_TOLD = ("id", "status", "detail", "seconds", "reached")


@dataclass(slots=True)
class Test:
    """One test, as far as it got."""

    id: str
    status: str = "not run"
    detail: str = ""
    seconds: float = 0.0
    step: int = 0
    open: bool = False
    begun: bool = False
    reached: dict[str, tuple[str, str]] = field(default_factory=dict)


def whole_lines(buffer: bytearray, data: bytes) -> Iterator[bytes]:
    """The lines that are complete with more data; what is left of it stays in the buffer."""
    buffer += data
    while (end := buffer.find(b"\n")) >= 0:
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        yield line


def word(encoded: bytes) -> str:
    """One word of a record.

    Raises:
        ValueError: it is no hexadecimal.
    """
    if encoded == b"-":
        return ""
    return bytes.fromhex(encoded.decode("ascii")).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Ending:
    """The supervisor's last word.

    Attributes:
        said: how the run ended; `None` if it never said so.
    """

    said: dict[str, Any] | None

    @property
    def fault(self) -> str:
        """Why the supervisor failed, or empty."""
        return str(self.said.get("fault", "")) if self.said else ""

    @property
    def breach(self) -> list[str] | None:
        """The limit that was broken, and how."""
        return self.said["breach"] if self.said and not self.fault else None

    def report(
        self,
        tests: Iterable[Test],
        *,
        uncollected: dict[str, str],
        twice: list[str],
        foul: str,
        running: str,
        complete: bool,
    ) -> dict[str, Any]:
        """The judge's report."""
        return {
            "results": [],
            "breaches": dict([self.breach]) if self.breach else {},
            "broken": "",
            "calls": 0,
            "gone": self.said is None,
            "suite": {
                "tests": [_told(test) for test in tests],
                "uncollected": uncollected,
                "twice": twice,
                "foul": foul,
                "running": running,
                "complete": complete,
                "fault": self.fault,
                "end": self.said,
            },
        }


def have_run(
    job: dict[str, Any], sock: socket.socket, key: bytes, take: Callable[[dict[str, Any]], None]
) -> Ending:
    """Has the supervisor run the suite.

    Args:
        job: with the order.
        sock: to the supervisor.
        key: by which records are chained.
        take: takes each message but the last.
    """
    sock.sendall(wire.dump({**job["tests"][0], "seed": job["seed"], "key": key.hex()}))
    deadline = time.monotonic() + job["limits"]["wall_seconds"] + _GRACE_SECONDS
    try:
        told = wire.Reader(sock)
        while (message := told.receive(deadline=deadline)) is not None:
            if "ended" in message:
                return Ending(message["ended"])
            take(message)
    except (wire.WireError, OSError):
        pass
    return Ending(None)


def _told(test: Test) -> dict[str, Any]:
    fields = asdict(test)
    return {name: fields[name] for name in _TOLD}
