"""The process that waits in a slot, and its server's end of the line to it.

A server never forks for a run itself. After a fork, each page of memory that either side writes to
is copied, and a server with its loop, its buffers and all its runs writes to many; the process in
a slot does next to nothing, and it has been locked down ahead of the run. It takes one run at a
time: the server sends what the run needs and its descriptors, and hears how the run ended. Where
runs are told apart by user ids, the process of the next run is forked while the last verdict
travels: it waits for its orders itself, and then gives up what is left to give up.

To the slot: a head (`_START`), a text for the run, and descriptors. From the slot: `{"ready":
true}` or `{"refused": reason}` once, then for each run a tail (`_END`), followed by the reason
where there could be no run, and by a report where the slot's process did the work itself. The
process id of a run and its user id stand in a page that all share, for the server to end it and
for the slot's process to clean up after it.
"""

from __future__ import annotations

import _socket
import contextlib
import gc
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from . import kernel, pages, wire
from .confine import Confinement
from .limits import address_space
from .lockdown import Rlimits
from .loop import Loop

Body = Callable[[bytes, list[int]], None]
"""What a run does, given its text and its descriptors. It runs in a process of its own."""

Helper = Callable[[bytes, list[int], int], None]
"""As `Body`, with the run's user id: what a process does that only starts others."""

Here = Callable[[bytes, list[int]], bytes]
"""What is done in the slot's process itself, since it executes nobody's code; gives a report."""

_START = struct.Struct(">IBQ5Q")  # length of the text, flags, user id, limits
_END = struct.Struct(">IidQBB")  # length of the text, status, cpu seconds, bytes, clean, is infra
_UNDER_WAY = struct.Struct("=ii")  # process id, user id
_NONE = (0, 0)
_OUTPUT, _HELPER, _HERE = 1, 2, 4
_WORN_BYTES = 64 << 20
"""By so much the slot's process may grow through what it does itself; each fork copies it."""
_HERE_MEMORY = 2 << 30
_RUNS_PER_COLLECTION = 64
_BEGIN_SECONDS = 5.0
"""So long a run that is to end may take to begin."""
_READ = 1 << 16
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


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
        report: what was found by what was done in the slot's process itself.
    """

    status: int = 0
    cpu: float = 0.0
    rss: int = 0
    stopped: bool = False
    clean: bool = True
    infra: str = ""
    report: bytes = b""


class Slot:
    """A server's end.

    Args:
        loop: the server's.
        confinement: how runs are confined.
        number: of the slot.
        body: what a locked-down run does.
        helper: what a run does whose process only starts others, locked down in their turn.
        furnished: whether those others find something in their folder.
        here: what the slot's process can do itself.

    Raises:
        OSError: the lock-down can't be had.
    """

    def __init__(
        self,
        loop: Loop,
        confinement: Confinement,
        number: int,
        body: Body,
        helper: Helper | None = None,
        *,
        furnished: bool = False,
        here: Here | None = None,
    ) -> None:
        self._loop = loop
        self._confinement = confinement
        self._work = _Work(number, body, helper, here, furnished)
        self._on_end: Callable[[Ending], None] | None = None
        self._killed = False
        self._asked = 0.0
        self._is_here = False
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._begin()

    def _begin(self) -> None:
        ours, theirs = socket.socketpair()
        uid = self._confinement.next_uid()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                _live(theirs, self._page, self._confinement, uid, self._work)
            os._exit(70)
        theirs.close()
        self._socket = ours
        self._pid = pid
        said = wire.Reader(ours).receive() or {
            "refused": "the process of a slot ended at its start"
        }
        if "ready" not in said:
            os.waitpid(pid, 0)
            raise OSError(said["refused"])
        self._loop.vital.add(pid)
        self._loop.watch(ours.fileno(), self._read)

    def start(
        self,
        text: str,
        descriptors: list[int],
        on_end: Callable[[Ending], None],
        *,
        uid: int,
        limits: Rlimits,
        output: bool = False,
        helper: bool = False,
        here: bool = False,
    ) -> None:
        """Begins a run; its process gets the descriptors.

        Args:
            text: what the run is told.
            descriptors: sent along; with `output`, the last becomes standard output and error.
            on_end: called when the run has ended and its slot is clean, or could not be cleaned.
            uid: the run's user id.
            limits: of its process.
            output: see `descriptors`.
            helper: run the slot's `helper` in place of its `body`; it does not get the last one.
            here: have the slot's process do its `here` itself.
        """
        self._on_end, self._killed, self._is_here = on_end, False, here
        self._asked = 0.0
        body = text.encode()
        flags = (_OUTPUT if output else 0) | (_HELPER if helper else 0) | (_HERE if here else 0)
        data = _START.pack(len(body), flags, uid, *limits.amounts()) + body
        sent = socket.send_fds(self._socket, [data], descriptors)
        self._socket.sendall(data[sent:])

    def kill(self) -> None:
        """Ends the run that is under way, if there is one.

        Its process id is good until the slot's process, which clears it first, has let go of it;
        and no id is given again before all others have been.
        """
        if self._is_here:
            self._replace()
            return
        pid, _uid = _UNDER_WAY.unpack_from(self._page)
        if pid and self._on_end is not None:
            self._killed = True
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        elif self._on_end is not None:  # it is about to begin
            self._asked = self._asked or time.monotonic()
            if time.monotonic() - self._asked < _BEGIN_SECONDS:
                self._loop.at(self, 0.01, self.kill)
            else:
                self._replace(infra="its process ended before it had begun")

    def _replace(self, infra: str = "") -> None:
        """Ends the slot's process, which is at work itself, and puts another in its place.

        Or it waits for the end of a run whose orders were lost with the process that took them.
        """
        if self._on_end is None:
            return
        self._loop.vital.discard(self._pid)
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._begin()
        on_end, self._on_end = self._on_end, None
        on_end(Ending(infra=infra) if infra else Ending(signal.SIGKILL, stopped=True))

    def _read(self) -> None:
        data = self._socket.recv(_END.size, socket.MSG_WAITALL)
        if len(data) < _END.size:
            self._loop.stop()
        size, status, cpu, rss, clean, failed = _END.unpack(data)
        text = self._socket.recv(size, socket.MSG_WAITALL) if size else b""
        stopped = self._killed and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        self._loop.cancel(self)
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            infra, report = (text.decode(), b"") if failed else ("", text)
            on_end(Ending(status, cpu, rss, stopped, bool(clean), infra, report))


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done in a slot."""

    slot: int
    body: Body
    helper: Helper | None
    here: Here | None
    furnished: bool


def _live(
    line: socket.socket,
    page: mmap.mmap,
    confinement: Confinement,
    uid: int,
    work: _Work,
) -> NoReturn:
    """Settles in the slot, says so, and takes runs until the server goes away."""
    kernel.die_with_parent()
    most = address_space() + _HERE_MEMORY  # /proc is out of reach later
    confinement.plan(work.slot, furnished=work.furnished)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    descriptor = _keep_only(line)
    for stream in (sys.stdout, sys.stderr):
        # what a program printed is wanted even where it is killed
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        confinement.settle()
        _try_out(confinement, uid)
    except OSError as error:
        wire.write_all(descriptor, wire.dump({"refused": f"the lock-down failed: {error}"}))
        os._exit(3)
    wire.write_all(descriptor, wire.dump({"ready": True}))
    gc.freeze()
    plain = plain_socket(descriptor)
    _Here.limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + _WORN_BYTES
    if work.here is not None:  # as a judge of its own has it; what is forked sets its own
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    is_plain = work.here is None and not work.furnished
    if is_plain:
        pages.fill_gaps()
    ahead = confinement.identity == "uids" and is_plain
    while True:
        if not (ahead and _run_ahead(plain, page, confinement, work)):
            _run(plain, page, confinement, work)


def _run_ahead(line: Any, page: mmap.mmap, confinement: Confinement, work: _Work) -> bool:
    """Has a process wait for the next run, which it then is; says whether one could be had."""
    try:
        pid = os.fork()
    except OSError:
        return False
    if pid == 0:
        _become_run(line, page, confinement, work)
    _see_out(line, page, confinement, pid)
    return True


def _become_run(line: Any, page: mmap.mmap, confinement: Confinement, work: _Work) -> NoReturn:
    """Waits for a run and is it from then on."""
    try:
        kernel.die_with_parent()
        orders = _receive(line)
        if orders is None:
            os._exit(0)
        flags, uid, amounts, text, descriptors = orders
        _UNDER_WAY.pack_into(page, 0, os.getpid(), uid)
        page.close()  # what runs here must not say which process its server is to end
        if flags & _HELPER:
            _help(confinement, work, text, descriptors, uid)
        output = descriptors.pop() if flags & _OUTPUT else -1
        confinement.be(uid, amounts, descriptors, (-1, output, output), work.body, text)
    finally:
        os._exit(70)


def _receive(line: Any) -> tuple[int, int, list[int], bytes, list[int]] | None:
    """Flags, user id, limits, text and descriptors of a run; none if the server has gone."""
    data, ancillary, _flags, _address = line.recvmsg(_READ, 64)
    if not data:
        return None
    (received,) = ancillary
    size, flags, uid, *amounts = _START.unpack_from(data)
    text = data[_START.size :]
    while len(text) < size:
        text += line.recv(size - len(text))
    return flags, uid, amounts, text, list(memoryview(received[2]).cast("i"))


def _see_out(line: Any, page: mmap.mmap, confinement: Confinement, pid: int) -> None:
    """Waits for the end of a run's process, cleans up after it and says how it ended.

    One that has ended before it took a run did so since the server has gone, or was killed.
    """
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    taken, uid = _UNDER_WAY.unpack_from(page)
    _UNDER_WAY.pack_into(page, 0, *_NONE)
    _pid, status, usage = os.wait4(pid, 0)
    if taken:
        clean = confinement.clean(uid)
        cpu = usage.ru_utime + usage.ru_stime
        line.sendall(_END.pack(0, status, cpu, usage.ru_maxrss * 1024, clean, False))
    elif status == 0:
        os._exit(0)


def _run(line: Any, page: mmap.mmap, confinement: Confinement, work: _Work) -> None:
    """Takes one run and has it run.

    This goes on between a fork and the next, with a page to be copied for each that it writes to:
    hence as few functions and objects as can be.
    """
    orders = _receive(line)
    if orders is None:
        os._exit(0)
    flags, uid, amounts, text, descriptors = orders
    if flags & _HERE:
        _run_here(line, work, text, descriptors)
        return
    reason = b""
    try:
        if flags & _HELPER:
            pid = _fork_helper(confinement, work, text, descriptors, uid, page)
        else:
            output = descriptors.pop() if flags & _OUTPUT else -1
            pid = confinement.fork(
                uid, amounts, descriptors, (-1, output, output), work.body, text, page=page
            )
            if output >= 0:
                os.close(output)
    except OSError as error:
        reason = f"can't start a process: {error}".encode()
    else:
        _UNDER_WAY.pack_into(page, 0, pid, uid)
    for descriptor in descriptors:
        os.close(descriptor)
    if reason:
        line.sendall(_END.pack(len(reason), 0, 0.0, 0, True, True) + reason)
        return
    _see_out(line, page, confinement, pid)


def _run_here(line: Any, work: _Work, text: bytes, descriptors: list[int]) -> None:
    """Does the slot's own work. No run is forked, so none of the memory it uses is copied."""
    report = b""  # which is what a judge of its own leaves that ends before its last word
    with contextlib.suppress(BaseException):
        assert work.here is not None
        report = work.here(text, descriptors)
    _Here.runs += 1
    if _Here.runs % _RUNS_PER_COLLECTION == 0:
        gc.collect()
    # what a hostile reply took stays with this process: then others have to take its place
    clean = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < _Here.limit
    line.sendall(_END.pack(len(report), 0, 0.0, 0, clean, False) + report)


class _Here:
    """What the slot's process remembers of its own work."""

    runs = 0
    limit = 0


def _fork_helper(
    confinement: Confinement,
    work: _Work,
    text: bytes,
    descriptors: list[int],
    uid: int,
    page: mmap.mmap,
) -> int:
    """Starts a helper, which goes when its parent goes."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            page.close()  # what it starts must not say which process its server is to end
            kernel.die_with_parent()
            _help(confinement, work, text, descriptors, uid)
        os._exit(0)
    return pid


def _help(
    confinement: Confinement, work: _Work, text: bytes, descriptors: list[int], uid: int
) -> NoReturn:
    """Is a helper from here on, with none of the connections of the slot's process."""
    with contextlib.suppress(BaseException):
        first = 3
        for descriptor in sorted(descriptors[:-1]):  # the last is its server's own pipe
            os.closerange(first, descriptor)
            first = descriptor + 1
        os.closerange(first, 1 << 16)
        confinement.begin_anew()
        assert work.helper is not None
        work.helper(text, descriptors, uid)
    os._exit(0)


def plain_socket(descriptor: int) -> Any:
    """A stream socket without what the `socket` module puts round it, which touches more memory."""
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, descriptor)


def told(text: bytes) -> dict[str, Any]:
    """What a run is told, by the scanner that `json.loads` leads to through several functions."""
    found: dict[str, Any] = _scan(text.decode(), 0)[0]
    return found


def _keep_only(line: socket.socket) -> int:
    """Closes all that the server had open but the line and standard error."""
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1):
        os.dup2(null, target)
    descriptor = os.dup2(line.detach(), 3)
    os.closerange(4, 1 << 16)
    return descriptor


def _try_out(confinement: Confinement, uid: int) -> None:
    """Runs something locked down: what must not work, must not work.

    Raises:
        OSError: it works all the same, or a layer that was asked for can't be had.
    """
    reader, writer = os.pipe()
    limits = Rlimits(5, 1 << 40, 64, 1 << 20).amounts()
    pid = confinement.fork(uid, limits, [], (-1, writer, writer), _trial)
    os.close(writer)
    said = b""
    while data := os.read(reader, 4096):
        said += data
    _, status = os.waitpid(pid, 0)
    os.close(reader)
    confinement.clean(uid)
    if said != b"locked down":
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise OSError(lines[-1] if lines else f"status {status}")


def _trial(_text: bytes, _descriptors: list[int]) -> None:
    try:
        socket.socket(socket.AF_UNIX).close()
        os.write(1, b"a socket can be made")
    except PermissionError:
        os.write(1, b"locked down")
