"""Removes what a killed controller has left at a Docker engine.

A container ends when its controller's stream does. But one that the engine has made and nobody
has started has no stream, and a controller may be killed between the two, or while the engine is
still at work on its last request. So beside each open Docker sandbox runs a watcher: a process
that holds a pipe to the controller, and when that ends without a farewell, removes every container
with the controller's mark. Where nothing was being made it ends at once, else after some seconds.

It speaks to the engine as the controller does (socket, TCP, TLS, SSH), and imports what it needs
for that only then. Until then it is an interpreter that waits.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

LABEL = "org.regreen.sandbox"
"""On every container of ours; its value is the process id of the controller."""

OWNER = "org.regreen.owner"
"""Beside it; its value is the controller's alone, also where process ids are not."""

PROCESS = "org.regreen.process"
"""Beside them; its value tells, on the same machine, whether the controller still lives."""

_FAREWELL = b"."
_BEGIN, _END = b"+", b"-"
_MAKING_SECONDS = 6.0
"""For what the engine is still making when its client dies; idle, it takes a tenth of a second."""
_LONGEST_SECONDS = 30.0
"""For an engine that doesn't answer."""
_TICK_SECONDS = 0.2
_TEXT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from sandbox.watcher import watch; watch(sys.argv[2], sys.argv[3])"
)


def labels() -> dict[str, str]:
    """What marks a container as this process's."""
    process = os.getpid()
    return {LABEL: str(process), OWNER: _owner(process), PROCESS: _identity(process)}


def has_ended(marks: Mapping[str, str]) -> bool:
    """Whether the controller that marked a container has ended.

    False too where that can't be known: it is on another machine, or in another namespace of
    process ids.
    """
    mark = marks.get(PROCESS, "")
    place, _, process = mark.rpartition(":")
    if not place or place != _place():
        return False
    number = int(process.partition("@")[0])
    if now := _identity(number):
        return now != mark
    with contextlib.suppress(PermissionError):  # another user's, in a proc that hides those
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
    return False


def _identity(process: int) -> str:
    """One that no later process with the same id has; "" where there is no proc."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return f"{_place()}:{process}@{fields[19]}"  # proc(5): the time that it started at
    return ""


def _place() -> str:
    """This machine since it was booted, and this namespace of process ids; "" without proc."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    return ""


@functools.cache
def _owner(_process: int) -> str:
    return secrets.token_hex(8)  # another one after a fork


class Watcher:
    """The controller's end: starts the process, and tells it what is going on.

    Args:
        folder: of this machine, to be removed with what is left.
    """

    def __init__(self, folder: Path) -> None:
        path = json.dumps([entry or str(Path.cwd()) for entry in sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _TEXT, path, labels()[OWNER], folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # a terminal's interrupt is the controller's to deal with
        )

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """While the engine makes a container, which is in no list yet."""
        self._say(_BEGIN)
        try:
            yield
        finally:
            self._say(_END)

    def close(self) -> None:
        """Takes leave and waits for its end. Idempotent."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        self._say(_FAREWELL)
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _say(self, word: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(
            OSError, ValueError
        ):  # killed (the next sandbox sweeps), or closed
            os.write(self._process.stdin.fileno(), word)


def watch(owner: str, folder: str) -> None:
    """The watcher's life: waits for the controller's end, and clears up after it."""
    try:
        _watch(owner)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(owner: str) -> None:
    heard = b""
    while word := os.read(0, 4096):
        heard += word
        if heard.endswith(_FAREWELL):
            return
        heard = heard.replace(_BEGIN + _END, b"")
    unfinished = heard.count(_BEGIN) > heard.count(_END)
    began = time.monotonic()
    while time.monotonic() - began < _LONGEST_SECONDS:
        gone = _remove(owner)
        if gone and not (unfinished and time.monotonic() - began < _MAKING_SECONDS):
            return
        time.sleep(_TICK_SECONDS)


def _remove(owner: str) -> bool:
    """Removes what there is, and says whether there was nothing."""
    import docker

    try:
        with contextlib.closing(docker.from_env(timeout=10)) as client:
            found = client.api.containers(
                all=True, quiet=True, filters={"label": f"{OWNER}={owner}"}
            )
            for container in found:
                with contextlib.suppress(docker.errors.APIError):  # it is going already
                    client.api.remove_container(container["Id"], v=True, force=True)
    except Exception:
        return False  # the engine may be back in a moment
    return not found
