"""The event loop that both servers share: frames from a stream, frames over the link, slots.

Standard input brings frames from the controller (or nothing but its end, which ends the server);
standard output takes frames back. The link is a stream socket between the two servers, on which a
frame may come with one descriptor.
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from . import wire

_READ = 1 << 18


class Loop:
    """Dispatches what is ready to callbacks; single-threaded, since it forks the slots' processes.

    Args:
        link: the socket to the other server.
        on_frame: called with each frame from the controller.
        on_link: called with each frame from the link and the descriptor that came with it.
        on_stop: called before this server ends.
    """

    def __init__(
        self,
        link: socket.socket,
        *,
        on_frame: Callable[[Any], None],
        on_link: Callable[[Any, int | None], None],
        on_stop: Callable[[], None],
    ) -> None:
        self._link = link
        self._on_frame = on_frame
        self._on_link = on_link
        self._on_stop = on_stop
        self._poll = select.epoll()
        self._ready: dict[int, Callable[[], None]] = {}
        self._deadlines: dict[object, tuple[float, Callable[[], None]]] = {}
        self._frames = bytearray()
        self._link_frames = bytearray()
        self._link_descriptors: collections.deque[int] = collections.deque()
        self.vital: set[int] = set()
        """Children without which this server can't go on."""
        self._output = os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)  # a stray print must not look like a frame
        os.close(null)

    def send(self, message: object) -> None:
        """Sends a frame to the controller; ends the server if nobody listens any more."""
        try:
            wire.write_all(self._output, wire.dump(message))
        except OSError:
            self.stop()

    def send_link(self, message: object, descriptor: int | None = None) -> None:
        """Sends a frame over the link, with a descriptor or without."""
        data = wire.dump(message)
        try:
            if descriptor is None:
                self._link.sendall(data)
            else:
                sent = socket.send_fds(self._link, [data], [descriptor])
                self._link.sendall(data[sent:])
        except OSError:
            self.stop()

    def watch(self, descriptor: int, ready: Callable[[], None]) -> None:
        """Calls `ready` whenever the descriptor can be read."""
        self._poll.register(descriptor, select.EPOLLIN)
        self._ready[descriptor] = ready

    def unwatch(self, descriptor: int) -> None:
        """Ends `watch`; does nothing if there was none."""
        if self._ready.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def at(self, key: object, seconds: float, action: Callable[[], None]) -> None:
        """Calls `action` once, `seconds` from now, unless `cancel(key)` comes first."""
        self._deadlines[key] = (time.monotonic() + seconds, action)

    def cancel(self, key: object) -> None:
        """Forgets the deadline, if there is one."""
        self._deadlines.pop(key, None)

    def run(self) -> NoReturn:
        """Runs until the controller's stream or the link ends."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self.watch(wake_read, lambda: self._reap(wake_read))
        self.watch(0, self._read_frames)
        self.watch(self._link.fileno(), self._read_link)
        while True:
            timeout = -1.0
            if self._deadlines:
                first = min(due for due, _ in self._deadlines.values())
                timeout = max(0.0, first - time.monotonic())
            for descriptor, _event in self._poll.poll(timeout):
                ready = self._ready.get(descriptor)
                if ready is not None:  # else one before it has ended the watch
                    ready()
            if not self._deadlines:
                continue
            now = time.monotonic()
            for key in [key for key, (due, _) in self._deadlines.items() if due <= now]:
                entry = self._deadlines.pop(key, None)
                if entry is not None:
                    entry[1]()

    def stop(self) -> NoReturn:
        """Ends this server; as the first process of its container it takes everything with it."""
        for pid in self.vital:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._on_stop()
        sys.stderr.flush()
        os._exit(0)

    def _reap(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                if pid in self.vital:
                    self.stop()

    def _read_frames(self) -> None:
        data = os.read(0, _READ)
        if not data:
            self.stop()
        self._frames += data
        while (body := wire.split(self._frames)) is not None:
            message = wire.load(body)
            if "ping" in message:
                self.send(message)  # whoever hears this knows that this server is at work
            else:
                self._on_frame(message)

    def _read_link(self) -> None:
        try:
            data, descriptors, _flags, _address = socket.recv_fds(self._link, _READ, 16)
        except OSError:
            self.stop()
        if not data:
            self.stop()
        self._link_descriptors.extend(descriptors)
        self._link_frames += data
        while (body := wire.split(self._link_frames)) is not None:
            message = wire.load(body)
            takes = isinstance(message, dict) and message.get("descriptor")
            self._on_link(message, self._link_descriptors.popleft() if takes else None)
