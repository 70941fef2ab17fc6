"""The process that waits in a slot, and its server's end of the line to it.

A server never forks for a run itself. After a fork, each page of memory that either side writes to
is copied, and a server with its loop, its buffers and all its runs writes to many; the process in
a slot does little but wait, and it has been locked down ahead of the run. It takes one run at a
time: the server sends what the run needs and its descriptors, and hears how the run ended.

To the slot: frames of a JSON header, a newline and a payload for the run (`start`), or `{"kill":
true}`. From the slot: `{"ready": true}` or `{"refused": reason}` once, then `{"status": ...}` or
`{"infra": reason}` for each run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, NoReturn

from . import kernel, wire
from .confine import Confinement
from .limits import ended
from .lockdown import Rlimits
from .loop import Loop

Body = Callable[[bytes, list[int]], None]
"""What a run does, given its payload and its descriptors. It runs in a process of its own."""

_HEADER = struct.Struct(">I")
_READ = 1 << 16
_DESCRIPTORS = 4


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run's process ended.

    Attributes:
        status: as `os.wait4` gives it.
        cpu: seconds of cpu time, user and system.
        rss: bytes of the largest resident size.
        stopped: whether it was still at work when it was told to end.
        clean: whether nothing of the run is left in the slot.
        infra: why there was no run, if there was none.
    """

    status: int = 0
    cpu: float = 0.0
    rss: int = 0
    stopped: bool = False
    clean: bool = True
    infra: str = ""


class Slot:
    """A server's end.

    Args:
        loop: the server's.
        confinement: how runs are confined.
        number: of the slot.
        body: what a locked-down run does.
        helper: what a run does whose process only starts others, locked down in their turn.

    Raises:
        OSError: the lock-down can't be had.
    """

    def __init__(
        self,
        loop: Loop,
        confinement: Confinement,
        number: int,
        body: Body,
        helper: Callable[[bytes, list[int], int], None] | None = None,
    ) -> None:
        self._loop = loop
        self._on_end: Callable[[Ending], None] | None = None
        ours, theirs = socket.socketpair()
        uid = confinement.next_uid()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                ours.close()
                _Waiting(theirs, confinement, body, helper).live(number, uid)
            os._exit(70)
        theirs.close()
        self._socket = ours
        said = wire.receive(ours) or {"refused": "the process of a slot ended at its start"}
        if "ready" not in said:
            os.waitpid(pid, 0)
            raise OSError(said["refused"])
        loop.vital.add(pid)
        loop.watch(ours.fileno(), self._read)

    def start(
        self,
        payload: str,
        descriptors: list[int],
        on_end: Callable[[Ending], None],
        *,
        uid: int,
        limits: Rlimits,
        output: bool = False,
        helper: bool = False,
    ) -> None:
        """Begins a run; its process gets the descriptors.

        Args:
            payload: what the run is told.
            descriptors: sent along; with `output`, the last becomes standard output and error.
            on_end: called when the run has ended and its slot is clean, or could not be cleaned.
            uid: the run's user id.
            limits: of its process.
            output: see `descriptors`.
            helper: run the slot's `helper` in place of its `body`.
        """
        self._on_end = on_end
        header = {"uid": uid, "limits": astuple(limits), "output": output, "helper": helper}
        body = json.dumps(header).encode() + b"\n" + payload.encode()
        data = _HEADER.pack(len(body)) + body
        sent = socket.send_fds(self._socket, [data], descriptors)
        self._socket.sendall(data[sent:])

    def kill(self) -> None:
        """Ends the run that is under way, if there is one."""
        if self._on_end is not None:
            self._socket.sendall(wire.dump({"kill": True}))

    def _read(self) -> None:
        said = wire.receive(self._socket)
        if said is None:
            self._loop.stop()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(Ending(**said))


class _Waiting:
    """The process in a slot."""

    def __init__(
        self,
        line: socket.socket,
        confinement: Confinement,
        body: Body,
        helper: Callable[[bytes, list[int], int], None] | None,
    ) -> None:
        self._line = line
        self._confinement = confinement
        self._body = body
        self._helper = helper
        self._buffer = bytearray()
        self._descriptors: list[int] = []

    def live(self, slot: int, uid: int) -> NoReturn:
        """Settles in the slot, says so, and takes runs until the server goes away."""
        kernel.die_with_parent()
        signal.set_wakeup_fd(-1)
        self._line = _only(self._line)
        try:
            self._confinement.settle(slot)
            _try_out(self._confinement, uid)
        except OSError as error:
            self._line.sendall(wire.dump({"refused": str(error)}))
            os._exit(3)
        self._wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(self._line, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        self._line.sendall(wire.dump({"ready": True}))
        while True:
            header, payload = self._receive()
            if "kill" not in header:  # one that came too late is for nobody
                self._line.sendall(wire.dump(self._run(header, payload)))

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        buffer = self._buffer
        while len(buffer) < 4 or len(buffer) < 4 + _HEADER.unpack_from(buffer)[0]:
            data, descriptors, _flags, _address = socket.recv_fds(self._line, _READ, _DESCRIPTORS)
            if not data:
                os._exit(0)
            self._descriptors += descriptors
            buffer += data
        end = 4 + _HEADER.unpack_from(buffer)[0]
        header, _, payload = bytes(buffer[4:end]).partition(b"\n")
        del buffer[:end]
        return json.loads(header), payload

    def _run(self, header: dict[str, Any], payload: bytes) -> dict[str, Any]:
        descriptors, self._descriptors = self._descriptors, []
        uid = header["uid"]
        try:
            pid = (
                self._fork_helper(payload, descriptors, uid)
                if header["helper"]
                else self._fork(header, payload, descriptors)
            )
        except OSError as error:
            return {"infra": f"can't start a process: {error}"}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        stopped, status, usage = self._wait(pid)
        return {
            "status": status,
            "cpu": usage.ru_utime + usage.ru_stime,
            "rss": usage.ru_maxrss * 1024,
            "stopped": stopped,
            "clean": self._confinement.clean(uid),
        }

    def _fork(self, header: dict[str, Any], payload: bytes, descriptors: list[int]) -> int:
        output = descriptors.pop() if header["output"] else -1
        try:
            return self._confinement.fork(
                header["uid"],
                Rlimits(*header["limits"]),
                descriptors,
                (-1, output, output),
                lambda: self._body(payload, descriptors),
            )
        finally:
            if output >= 0:
                os.close(output)

    def _fork_helper(self, payload: bytes, descriptors: list[int], uid: int) -> int:
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                _become_helper(descriptors[0])
                assert self._helper is not None
                self._helper(payload, descriptors, uid)
            os._exit(0)
        return pid

    def _wait(self, pid: int) -> tuple[bool, int, Any]:
        """Waits for the run to end, and makes it end when the server says so."""
        stopped = False
        while True:
            for ready, _event in self._poll.poll():
                if ready == self._wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                    found, status, usage = os.wait4(pid, os.WNOHANG)
                    if found:
                        return stopped, status, usage
                else:
                    self._receive()  # nothing but `kill` comes now
                    stopped = stopped or not ended(pid)
                    os.kill(pid, signal.SIGKILL)


def _only(line: socket.socket) -> socket.socket:
    """Closes all that the server had open but the line and standard error."""
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1):
        os.dup2(null, target)
    descriptor = os.dup2(line.detach(), 3)
    os.closerange(4, 1 << 16)
    return socket.socket(fileno=descriptor)


def _become_helper(descriptor: int) -> None:
    """A forked helper goes when its parent goes, and holds none of its connections."""
    kernel.die_with_parent()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 1 << 16)


def _try_out(confinement: Confinement, uid: int) -> None:
    """Runs something locked down: what must not work, must not work.

    Raises:
        OSError: it works all the same, or a layer that was asked for can't be had.
    """
    reader, writer = os.pipe()
    pid = confinement.fork(uid, Rlimits(5, 1 << 40, 64, 1 << 20), (), (-1, writer, writer), _trial)
    os.close(writer)
    said = b""
    while data := os.read(reader, 4096):
        said += data
    _, status = os.waitpid(pid, 0)
    os.close(reader)
    confinement.clean(uid)
    if said != b"locked down":
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise OSError(f"the lock-down failed: {lines[-1] if lines else f'status {status}'}")


def _trial() -> None:
    try:
        socket.socket(socket.AF_UNIX).close()
        os.write(1, b"a socket can be made")
    except PermissionError:
        os.write(1, b"locked down")


__all__ = ["Ending", "Slot"]
