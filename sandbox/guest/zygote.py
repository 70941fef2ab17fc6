"""The server on the candidates' side: it never receives a test, and has each program run in a slot.

From the link: `{"start": true, "descriptor": true, "run": number, ...}` with the candidate's end of
a socket, and `{"done": run}` when the judge has finished. To the link: `{"ended": run, ...}`, how
the program's process ended and what it used. To the controller: `{"question": run, ...}`, what a
setup command asks of package indexes; from it: `{"answer": run, ...}`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from . import child, wire
from .confine import Confinement
from .endless import ENDED_BY
from .limits import address_space, oom_kills, ran_out_of_cpu, rlimits, whole_seconds
from .loop import Loop
from .slot import Ending, Slot, plain_socket, told

if TYPE_CHECKING:
    from .repository_template import Template

_TAIL = 4096
_QUESTION_LIMIT = 1 << 16
_GRACE_SECONDS = 2.0
_FURNISHED = frozenset({"repository", "setup", "files"})
_HELPED = frozenset({"program", *_FURNISHED})
"""Kinds of job for which a trusted helper starts the confined process, and cleans up after it."""


@dataclass(slots=True)
class _Run:
    number: int
    slot: Slot
    helper: bool
    limits: dict[str, Any]
    output: int
    started: float
    ooms: int
    asking: socket.socket | None = None
    taken: int = 0
    tail: bytes = b""
    breach: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    question: bytearray = field(default_factory=bytearray)


class Zygote:
    """Has programs run and reports how they ended."""

    def __init__(
        self,
        link: socket.socket,
        confinement: Confinement,
        slots: int,
        libraries: str,
        hash_seed: str,
    ) -> None:
        self._confinement = confinement
        self._libraries = libraries
        self._hash_seed = hash_seed
        self._template: Template | None = None
        self._runs: dict[int, _Run] = {}
        self.loop = Loop(
            link,
            on_frame=self._pass_answer,
            on_link=self._on_link,
            on_stop=confinement.end_all,
        )
        self._count = slots
        self._slots: list[Slot] = []
        self._furnished: dict[tuple[str, int], Slot] = {}
        """Those whose runs find something in their folder, made when they are first wanted."""
        self._base_bytes = address_space()

    def settle(self) -> None:
        """Starts the process of each slot.

        Raises:
            OSError: the lock-down can't be had.
        """
        for number in range(self._count):
            slot = Slot(self.loop, self._confinement, number, _answer, self._run_program)
            self._slots.append(slot)

    def serve(self) -> NoReturn:
        """Runs until the controller or the judge's server goes away."""
        self.loop.run()

    def _slot(self, job: dict[str, Any]) -> Slot:
        number: int = job["slot"]
        if job["kind"] not in _FURNISHED:
            return self._slots[number]
        kind = "files" if job["kind"] == "files" else "repository"
        if (kind, number) not in self._furnished:
            helper = self._run_files if kind == "files" else self._run_suite
            if kind != "files" and self._template is None:
                # on no server that runs programs alone: all of it would be in each of their forks
                from .repository_template import Template

                self._template = Template(self._libraries, self._confinement.read, self._hash_seed)
            self._furnished[kind, number] = Slot(
                self.loop, self._confinement, number, _answer, helper, furnished=True
            )
        return self._furnished[kind, number]

    def _run_program(self, text: bytes, descriptors: list[int], uid: int) -> None:
        """What the helper of a program on standard input does: it runs one case after the other."""
        from . import runner

        sock = socket.socket(fileno=descriptors[0])
        runner.serve(sock, told(text), self._confinement, uid, self._base_bytes)

    def _run_suite(self, text: bytes, descriptors: list[int], uid: int) -> None:
        """What the helper of a repository does: it watches its suite or setup from outside."""
        from . import repository, workshop

        assert self._template is not None
        sock, job = socket.socket(fileno=descriptors[0]), told(text)
        if job["kind"] == "setup":
            upstream = socket.socket(fileno=descriptors[1])
            workshop.serve(sock, upstream, job, self._confinement, uid, self._base_bytes)
            return
        repository.serve(sock, job, self._confinement, uid, self._template, self._libraries)

    def _run_files(self, text: bytes, descriptors: list[int], uid: int) -> None:
        """The same for a suite with a process for each test file."""
        from . import repository_files

        sock, job = socket.socket(fileno=descriptors[0]), told(text)
        repository_files.serve(sock, job, self._confinement, uid)

    def _on_link(self, message: dict[str, Any], descriptor: int | None) -> None:
        if "start" in message and descriptor is not None:
            self._start(message, descriptor)
        elif "done" in message and message["done"] in self._runs:
            self._stop(self._runs[message["done"]], hung_up=bool(message.get("gone")))

    def _start(self, job: dict[str, Any], descriptor: int) -> None:
        limits, number = job["limits"], job["run"]
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        given, asking, theirs = [descriptor, writer], None, None
        try:
            slot, helped = self._slot(job), job["kind"] in _HELPED
            if job["kind"] == "setup":
                asking, theirs = socket.socketpair()
                given.insert(1, theirs.fileno())
            run = _Run(number, slot, helped, limits, reader, time.monotonic(), oom_kills(), asking)
            slot.start(
                job["public"],
                given,
                lambda ending: self._on_end(run, ending),
                uid=self._confinement.next_uid(),
                limits=rlimits(limits, self._base_bytes),
                output=not run.helper,
                helper=run.helper,
            )
        except (OSError, RuntimeError) as error:
            os.close(reader)
            if asking is not None:
                asking.close()
            self.loop.send_link({"ended": number, "infra": f"can't start a process: {error}"})
            return
        finally:
            os.close(descriptor)
            os.close(writer)
            if theirs is not None:
                theirs.close()
        self._runs[number] = run
        self.loop.watch(reader, lambda: self._read(run))
        if asking is not None:
            self.loop.watch(asking.fileno(), lambda: self._pass_question(run))

    def _pass_question(self, run: _Run) -> None:
        """Passes on to the controller what a setup's gate asks for; see `index_gate`."""
        assert run.asking is not None
        try:
            data = run.asking.recv(1 << 16)
            run.question += data
            while (body := wire.split(run.question, _QUESTION_LIMIT)) is not None:
                self.loop.send({"question": run.number, **wire.load(body)})
        except (OSError, wire.WireError):
            data = b""
        if not data:
            self._end_questions(run)

    def _pass_answer(self, message: dict[str, Any]) -> None:
        """The other way round."""
        run = self._runs.get(message.pop("answer", -1))
        if run is None or run.asking is None:
            return
        try:
            run.asking.sendall(wire.dump(message))
        except OSError:
            self._end_questions(run)

    def _end_questions(self, run: _Run) -> None:
        if run.asking is not None:
            self.loop.unwatch(run.asking.fileno())
            run.asking.close()
            run.asking = None

    def _read(self, run: _Run) -> None:
        try:
            data = os.read(run.output, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self.loop.unwatch(run.output)
            return
        run.taken += len(data)
        run.tail = (run.tail + data)[-_TAIL:]
        allowed = run.limits["output_bytes"]
        if run.taken > allowed:
            run.breach.setdefault("output", f"more than {allowed} bytes of output")
            self.loop.unwatch(run.output)
            self._stop(run)

    def _stop(self, run: _Run, *, hung_up: bool = False) -> None:
        """Makes a run's process end, unless it ends by itself: what it dies of names the outcome.

        A process that dies closes its socket a moment before it can be waited for, so one that
        hung up is given time. A helper cleans up and goes by itself.
        """
        if run.helper:
            run.stopped = True
        if hung_up or run.helper:
            self.loop.at(run.number, _GRACE_SECONDS, run.slot.kill)
        else:
            run.slot.kill()

    def _on_end(self, run: _Run, ending: Ending) -> None:
        del self._runs[run.number]
        seconds = time.monotonic() - run.started
        self.loop.cancel(run.number)
        if "output" not in run.breach:
            with contextlib.suppress(OSError):
                while data := os.read(run.output, 1 << 16):
                    run.tail = (run.tail + data)[-_TAIL:]
        self.loop.unwatch(run.output)
        os.close(run.output)
        self._end_questions(run)
        if ending.infra:
            self.loop.send_link({"ended": run.number, "infra": ending.infra})
            return
        status, stopped = ending.status, run.stopped or ending.stopped
        limit = whole_seconds(run.limits["cpu_seconds"])
        signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        starved = signalled == signal.SIGKILL and oom_kills() > run.ooms
        if not stopped and starved:
            run.breach["memory"] = "the kernel ran out of the container's memory"
        elif not stopped and ran_out_of_cpu(signalled, ending.cpu, limit):
            run.breach["timeout"] = f"more than {limit} s of cpu time"
        elif not stopped and signalled == ENDED_BY:
            run.breach["timeout"] = "a loop that never ends, as its first passes show"
        self.loop.send_link(
            {
                "ended": run.number,
                "early": not stopped,
                "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -signalled,
                "breaches": run.breach,
                "cpu": ending.cpu,
                "seconds": seconds,
                "rss": ending.rss,
                "oom": starved,
                "tail": run.tail.decode("utf-8", "replace"),
                "clean": ending.clean,
            }
        )


def _answer(text: bytes, descriptors: list[int]) -> None:
    """What the process of a candidate does."""
    child.answer(plain_socket(descriptors[0]), told(text))
