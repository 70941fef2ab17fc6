"""The server on the candidates' side: imports loaded, no test ever received, a fork a candidate.

From the link: `{"start": run, "descriptor": true, ...}` with the candidate's end of a socket, and
`{"done": run}` when the judge has finished. To the link: `{"ended": run, ...}`, how the program's
process ended and what it used.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from . import child, kernel, repository, runner
from .confine import Confinement
from .limits import address_space, ended, oom_kills, ran_out_of_cpu, rlimits, whole_seconds
from .loop import Loop

_TAIL = 4096
_GRACE_SECONDS = 2.0
_HELPED = frozenset({"program", "repository"})
"""Kinds of job for which a trusted helper starts the confined process, and cleans up after it."""


@dataclass(slots=True)
class _Run:
    number: int
    slot: int
    uid: int
    job: dict[str, Any]
    pid: int
    output: int
    started: float
    ooms: int
    taken: int = 0
    tail: bytes = b""
    breach: dict[str, str] = field(default_factory=dict)
    stopped: bool = False


class Zygote:
    """Starts programs and reports how they ended."""

    def __init__(self, link: socket.socket, confinement: Confinement, libraries: str = "") -> None:
        self._confinement = confinement
        self._libraries = libraries
        self._runs: dict[int, _Run] = {}
        self._loop = Loop(
            link,
            on_frame=lambda _frame: None,
            on_link=self._on_link,
            on_exit=self._on_exit,
            on_stop=confinement.end_all,
        )
        self._base_bytes = address_space()

    def serve(self, hello: dict[str, Any]) -> NoReturn:
        """Says hello and then runs until the controller or the judge's server goes away."""
        self._loop.send({"hello": hello})
        self._loop.run()

    def _on_link(self, message: dict[str, Any], descriptor: int | None) -> None:
        if "start" in message and descriptor is not None:
            self._start(message, descriptor)
        elif "done" in message:
            for run in list(self._runs.values()):
                if run.number == message["done"]:
                    self._stop(run, hung_up=bool(message.get("gone")))

    def _start(self, job: dict[str, Any], descriptor: int) -> None:
        limits = job["limits"]
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        number = job["start"]
        try:
            uid = self._confinement.next_uid()
            ooms = oom_kills()
            started = time.monotonic()
            body = self._body(job, descriptor, uid)
            if job["kind"] in _HELPED:
                pid = os.fork()
                if pid == 0:
                    _only_keep(descriptor)
                    body()
                    os._exit(0)
            else:
                pid = self._confinement.fork(
                    job["slot"],
                    uid,
                    rlimits(limits, self._base_bytes),
                    (descriptor,),
                    (-1, writer, writer),
                    body,
                )
        except (OSError, RuntimeError) as error:
            os.close(reader)
            self._loop.send_link({"ended": number, "infra": f"can't start a process: {error}"})
            return
        finally:
            os.close(descriptor)
            os.close(writer)
        run = _Run(number, job["slot"], uid, job, pid, reader, started, ooms)
        self._runs[pid] = run
        self._loop.watched.add(pid)
        self._loop.watch(reader, lambda: self._read(run))

    def _body(self, job: dict[str, Any], descriptor: int, uid: int) -> Callable[[], None]:
        def answer() -> None:
            child.answer(socket.socket(fileno=descriptor), job)

        def run_program() -> None:
            runner.serve(
                socket.socket(fileno=descriptor), job, self._confinement, uid, self._base_bytes
            )

        def run_suite() -> None:
            repository.serve(
                socket.socket(fileno=descriptor),
                job,
                self._confinement,
                uid,
                self._base_bytes,
                self._libraries,
            )

        return {"program": run_program, "repository": run_suite}.get(job["kind"], answer)

    def _read(self, run: _Run) -> None:
        try:
            data = os.read(run.output, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._loop.unwatch(run.output)
            return
        run.taken += len(data)
        run.tail = (run.tail + data)[-_TAIL:]
        allowed = run.job["limits"]["output_bytes"]
        if run.taken > allowed:
            run.breach.setdefault("output", f"more than {allowed} bytes of output")
            self._loop.unwatch(run.output)
            self._stop(run)

    def _stop(self, run: _Run, *, hung_up: bool = False) -> None:
        """Makes a run's process end, unless it ends by itself: what it dies of names the outcome.

        A process that dies closes its socket a moment before it can be waited for, so one that
        hung up is given time. A helper cleans up and goes by itself.
        """

        def kill() -> None:
            if run.pid in self._runs:
                run.stopped = run.stopped or not ended(run.pid)
                with contextlib.suppress(OSError):
                    os.kill(run.pid, signal.SIGKILL)

        if run.job["kind"] in _HELPED:
            run.stopped = True
        if hung_up or run.job["kind"] in _HELPED:
            self._loop.at(run.pid, _GRACE_SECONDS, kill)
        else:
            kill()

    def _on_exit(self, pid: int, status: int, usage: Any) -> None:
        run = self._runs.pop(pid)
        seconds = time.monotonic() - run.started
        self._loop.cancel(pid)
        if "output" not in run.breach:
            with contextlib.suppress(OSError):
                while data := os.read(run.output, 1 << 16):
                    run.tail = (run.tail + data)[-_TAIL:]
        self._loop.unwatch(run.output)
        os.close(run.output)
        clean = self._confinement.clean(run.slot, run.uid, self._loop.watched)
        cpu = usage.ru_utime + usage.ru_stime
        limit = whole_seconds(run.job["limits"]["cpu_seconds"])
        signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        starved = signalled == signal.SIGKILL and oom_kills() > run.ooms
        if not run.stopped and starved:
            run.breach["memory"] = "the kernel ran out of the container's memory"
        elif not run.stopped and ran_out_of_cpu(signalled, cpu, limit):
            run.breach["timeout"] = f"more than {limit} s of cpu time"
        self._loop.send_link(
            {
                "ended": run.number,
                "early": not run.stopped,
                "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -signalled,
                "breaches": run.breach,
                "cpu": cpu,
                "seconds": seconds,
                "rss": usage.ru_maxrss * 1024,
                "oom": starved,
                "tail": run.tail.decode("utf-8", "replace"),
                "clean": clean,
            }
        )


def _only_keep(descriptor: int) -> None:
    """A forked helper goes when its server goes, and holds none of its connections."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1):
        os.dup2(null, target)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 1 << 16)
