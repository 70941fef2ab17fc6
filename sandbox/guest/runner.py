"""Runs a program once for each case: standard input in, standard output and exit status out.

Trusted guest code on the candidates' side; it never holds an expected output. Each run is a
locked-down child of its own. A Python program is run in a fork of the preloaded interpreter, any
other language by its interpreter.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any

from . import wire
from .confine import Confinement, adopt_orphans
from .limits import ended, ran_out_of_cpu, rlimits, whole_seconds

INTERPRETERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "javascript": ("main.js", ("node", "main.js")),
    "bash": ("main.sh", ("bash", "main.sh")),
    "sh": ("main.sh", ("sh", "main.sh")),
    "perl": ("main.pl", ("perl", "main.pl")),
    "ruby": ("main.rb", ("ruby", "main.rb")),
    "php": ("main.php", ("php", "main.php")),
    "lua": ("main.lua", ("lua", "main.lua")),
    "awk": ("main.awk", ("awk", "-f", "main.awk")),
}
"""Language to the file's name and the command that runs it, for what the image may have."""

_DETAIL = 1500


def serve(
    sock: socket.socket,
    job: dict[str, Any],
    confinement: Confinement,
    uid: int,
    base_bytes: int,
) -> None:
    """Answers one run after the other until the judge hangs up."""
    adopt_orphans()
    requests = wire.Reader(sock)
    while (request := requests.receive()) is not None:
        reply = _run(sock, job, request, confinement, uid, base_bytes)
        confinement.clean(uid)
        sock.sendall(wire.dump(reply))


def _run(
    sock: socket.socket,
    job: dict[str, Any],
    request: dict[str, Any],
    confinement: Confinement,
    uid: int,
    base_bytes: int,
) -> dict[str, Any]:
    limits = job["limits"]
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
    (stdin_read, stdin_write), (out_read, out_write), (err_read, err_write) = pipes
    try:
        pid = confinement.fork(
            uid,
            rlimits(limits, base_bytes).amounts(),
            [],
            (stdin_read, out_write, err_write),
            lambda _text, _descriptors: _execute(job, request["args"]),
        )
    finally:
        for descriptor in (stdin_read, out_write, err_write):
            os.close(descriptor)
    transfer = _Transfer(
        sock, stdin_write, request["stdin"].encode(), out_read, err_read, limits["output_bytes"]
    )
    breach = transfer.run(limits["wall_seconds"], pid)
    with contextlib.suppress(OSError):
        if breach:
            os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    cpu = usage.ru_utime + usage.ru_stime
    limit = whole_seconds(limits["cpu_seconds"])
    errors = transfer.errors.decode("utf-8", "replace")[-_DETAIL:]
    if not breach and os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if ran_out_of_cpu(number, cpu, limit):
            breach = ("timeout", f"more than {limit} s of cpu time")
        else:
            breach = ("crash", f"killed by signal {number}")
    elif not breach and os.WEXITSTATUS(status):
        outcome = "memory" if "MemoryError" in errors[-300:] else "error"
        breach = (outcome, f"exit status {os.WEXITSTATUS(status)}\n{errors}".rstrip())
    outcome, detail = breach or ("passed", "")
    return {
        "outcome": outcome,
        "detail": detail,
        "stdout": transfer.output.decode("utf-8", "replace"),
    }


class _Transfer:
    """Feeds standard input and collects both outputs, within limits of size and time."""

    def __init__(
        self, judge: socket.socket, stdin: int, data: bytes, out: int, err: int, allowed: int
    ) -> None:
        self._judge = judge
        self._stdin = stdin
        self._data = memoryview(data)
        self._allowed = allowed
        self.output = bytearray()
        self.errors = bytearray()
        self._open = {out: self.output, err: self.errors}
        for descriptor in (stdin, out, err):
            os.set_blocking(descriptor, False)

    def run(self, wall_seconds: float, pid: int) -> tuple[str, str] | None:
        """Moves bytes until the program has closed its outputs, or breaks a limit."""
        deadline = time.monotonic() + wall_seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._judge, selectors.EVENT_READ)
            for descriptor in self._open:
                selector.register(descriptor, selectors.EVENT_READ)
            try:
                while self._open:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return "timeout", f"more than {wall_seconds:g} s of wall time"
                    for key, _events in selector.select(min(left, 0.05)):
                        if key.fd == self._stdin:
                            self._feed(selector)
                        elif key.fd == self._judge.fileno():
                            return "crash", "the judge hung up"
                        else:
                            self._take(selector, key.fd)
                    if len(self.output) + len(self.errors) > self._allowed:
                        return "output", f"more than {self._allowed} bytes of output"
                    if ended(pid):
                        # what it wrote is in the pipes; a daemon that holds them is not waited for
                        for descriptor in list(self._open):
                            while descriptor in self._open and self._take(selector, descriptor):
                                if len(self.output) + len(self.errors) > self._allowed:
                                    return "output", f"more than {self._allowed} bytes of output"
                        return None
                return None
            finally:
                for descriptor in (self._stdin, *self._open):
                    if descriptor >= 0:
                        os.close(descriptor)

    def _feed(self, selector: selectors.BaseSelector) -> None:
        try:
            self._data = self._data[os.write(self._stdin, self._data[:65536]) :]
        except BlockingIOError:
            return
        except OSError:
            self._data = self._data[:0]
        if not self._data:
            selector.unregister(self._stdin)
            os.close(self._stdin)
            self._stdin = -1

    def _take(self, selector: selectors.BaseSelector, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            selector.unregister(descriptor)
            os.close(descriptor)
            del self._open[descriptor]
            return False
        self._open[descriptor] += data
        return True


def _execute(job: dict[str, Any], arguments: list[str]) -> None:
    if job["language"] != "python":
        name, command = INTERPRETERS[job["language"]]
        with open(name, "w", encoding="utf-8") as file:
            file.write(job["program"])
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as any program but Python expects it
        try:
            os.execvpe(command[0], [*command, *arguments], dict(os.environ))
        except OSError as error:
            os.write(2, f"{command[0]} can't be run in this image: {error.strerror}".encode())
            os._exit(127)
    _run_python(job["program"], arguments)


def _run_python(program: str, arguments: list[str]) -> None:
    import linecache
    import traceback
    import types

    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = ["main.py", *arguments]
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(descriptor, mode, encoding="utf-8", errors="replace")  # noqa: SIM115
        setattr(sys, name, stream)
    linecache.cache["main.py"] = (len(program), None, program.splitlines(True), "main.py")
    status = 0
    try:
        exec(compile(program, "main.py", "exec", dont_inherit=True), main.__dict__)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            sys.stderr.write(leaving.code)
    except BaseException:
        status = 1
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status & 0xFF)
