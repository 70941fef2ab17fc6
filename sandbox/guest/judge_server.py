"""The server on the judge's side: takes jobs from the controller and has each judged in a slot.

A job that finds no slot free waits here for the next one, so that none stands idle while a verdict
travels and another job comes back. One that has not begun goes back where a run has left something
behind, or the controller asks for it: it is to run elsewhere.

It creates the socket pair between judge and candidate and hands one end to the zygote, together
with the program and nothing else of the job. When both sides have ended it reports to the
controller. What a job says in detail it never looks at: the texts go where they belong unread.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import struct
import sys
from dataclasses import dataclass, field
from typing import Any, NoReturn

from . import judge, literal, wire
from .confine import Confinement
from .limits import address_space, ran_out_of_cpu
from .lockdown import Rlimits
from .loop import Loop
from .slot import Ending, Slot, plain_socket, told

PUBLIC_FIELDS = ("run", "slot", "kind", "limits", "public")
"""All of a job that the candidates' side is ever told."""

_REPORT_LIMIT = 32 << 20
_JUDGE_MEMORY = 2 << 30
_JUDGE_FILES = 64 << 20
_JUDGE_PROCESSES = 64
_ENDING_SECONDS = 20.0
_PARTING_SECONDS = 0.05
"""So long a program that is only told by its socket's end may take to end by itself."""
_RECURSION_LIMIT = 5000
_GONE, _STAYED, _PREPARED = b"-", b"+", b"p"
_LENGTH = struct.Struct(">I")
_HEAD = 1 + _LENGTH.size


@dataclass(slots=True)
class _Verdict:
    number: int
    cpu_limit: int
    place: int
    slot: Slot
    pipe: int = -1
    report: bytearray = field(default_factory=bytearray)
    parts: dict[bytes, str] = field(default_factory=dict)
    told: bool = False
    timed_out: bool = False
    judged: Ending | None = None
    program: dict[str, Any] | None = None


class JudgeServer:
    """Has judges run and merges what they say with how the programs ended."""

    def __init__(
        self, link: socket.socket, confinement: Confinement, slots: int, *, heavy: bool
    ) -> None:
        self._confinement = confinement
        self._open: dict[int, _Verdict] = {}
        self.loop = Loop(
            link, on_frame=self._on_job, on_link=self._on_link, on_stop=confinement.end_all
        )
        self._count = slots
        self._free = list(range(slots))
        self._queue: collections.deque[dict[str, Any]] = collections.deque()
        self._is_worn = False
        self._slots: dict[int, Slot] = {}
        self._heavy_slots: dict[int, Slot] = {} if heavy else self._slots
        self._base_bytes = address_space()

    def settle(self) -> None:
        """Starts the process of each slot.

        Raises:
            OSError: the lock-down can't be had.
        """
        for number in range(self._count):
            self._slots[number] = self._new_slot(number)

    def _new_slot(self, number: int) -> Slot:
        return Slot(self.loop, self._confinement, number, _report, here=_judge_literal)

    def serve(self) -> NoReturn:
        """Runs until the controller or the zygote goes away."""
        self.loop.run()

    def _slot(self, number: int, *, heavy: bool) -> Slot:
        """The slot's process; for property tests one that has what they need imported.

        Not the same one for all, since each fork of it costs several times as much.
        """
        if not heavy:
            return self._slots[number]
        if number not in self._heavy_slots:
            if not self._heavy_slots:
                self._load_heavy()
            self._heavy_slots[number] = self._new_slot(number)
        return self._heavy_slots[number]

    def _load_heavy(self) -> None:
        """Imports what property tests need, once, so that each slot inherits it."""
        import gc

        with contextlib.suppress(ImportError):
            import pytest  # noqa: F401

            from . import pytest_tests  # noqa: F401
        gc.freeze()
        self._base_bytes = address_space()

    def _on_job(self, job: dict[str, Any]) -> None:
        if "take_back" in job:
            self._take_back()
        elif self._free:
            self._begin(job, self._free.pop())
        else:
            self._queue.append(job)
            if self._is_worn:
                self._take_back()

    def _take_back(self) -> None:
        """Sends back what has not begun."""
        self._is_worn = True
        while self._queue:
            self.loop.send({"run": self._queue.popleft()["run"], "not_begun": True})

    def _leave(self, place: int, *, clean: bool) -> None:
        """Gives a slot to the next job, unless something is left in it."""
        if not clean:
            self._take_back()
        elif self._queue:
            self._begin(self._queue.popleft(), place)
        else:
            self._free.append(place)

    def _begin(self, job: dict[str, Any], place: int) -> None:
        number = job["run"]
        job["slot"] = place
        rlimits = _judge_limits(job["limits"], self._base_bytes)
        if job["script"]:
            self._judge_here(job, rlimits)
            return
        ours, theirs = socket.socketpair()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            slot = self._slot(place, heavy=job["heavy"])
            verdict = _Verdict(number, rlimits.cpu_seconds, place, slot, reader)
            public = {name: job[name] for name in PUBLIC_FIELDS}
            slot.start(
                job["private"],
                [ours.fileno(), writer],
                lambda ending: self._on_judged(verdict, ending),
                uid=self._confinement.next_uid(),
                limits=rlimits,
            )
            self.loop.send_link({"start": True, "descriptor": True, **public}, theirs.fileno())
        except (OSError, RuntimeError) as error:
            os.close(reader)
            self._leave(place, clean=False)
            self.loop.send({"run": number, "infra": f"can't start a judge: {error}"})
            return
        finally:
            ours.close()
            theirs.close()
            os.close(writer)
        self._open[number] = verdict
        self.loop.watch(reader, lambda: self._read(verdict))
        self.loop.at(number, job["judge_seconds"], lambda: self._give_up(verdict))

    def _judge_here(self, job: dict[str, Any], rlimits: Rlimits) -> None:
        """Has tests that are data judged by the slot's own process."""
        number, place = job["run"], job["slot"]
        ours, theirs = socket.socketpair()
        slot = self._slot(place, heavy=False)
        verdict = _Verdict(number, rlimits.cpu_seconds, place, slot)
        try:
            public = {name: job[name] for name in PUBLIC_FIELDS}
            self.loop.send_link({"start": True, "descriptor": True, **public}, theirs.fileno())
            verdict.slot.start(
                job["script"],
                [ours.fileno()],
                lambda ending: self._on_judged(verdict, ending),
                uid=0,
                limits=rlimits,
                here=True,
            )
        finally:
            ours.close()
            theirs.close()
        self._open[number] = verdict
        self.loop.at(number, job["judge_seconds"], lambda: self._give_up(verdict))

    def _read(self, verdict: _Verdict) -> None:
        data = os.read(verdict.pipe, 1 << 18)
        if not data:
            self.loop.unwatch(verdict.pipe)
            self._tell_done(verdict)  # before the judge's exit, which takes a moment longer
            return
        verdict.report += data
        if len(verdict.report) > _REPORT_LIMIT:
            self._give_up(verdict)

    def _give_up(self, verdict: _Verdict) -> None:
        verdict.timed_out = True
        self.loop.at(verdict.number, _ENDING_SECONDS, self.loop.stop)
        verdict.slot.kill()

    def _on_judged(self, verdict: _Verdict, ending: Ending) -> None:
        if verdict.pipe >= 0:
            with contextlib.suppress(OSError):
                while data := os.read(verdict.pipe, 1 << 18):
                    verdict.report += data
            self.loop.unwatch(verdict.pipe)
            os.close(verdict.pipe)
        verdict.report += ending.report
        if ending.infra:
            self.loop.cancel(verdict.number)
            del self._open[verdict.number]
            self.loop.send_link({"done": verdict.number})
            self._leave(verdict.place, clean=False)
            self.loop.send({"run": verdict.number, "infra": ending.infra})
            return
        self.loop.cancel(verdict.number)
        verdict.judged = ending
        if os.WIFSIGNALED(ending.status):
            # What the program replied may be what it choked on: that is no fault of the sandbox.
            verdict.timed_out |= ran_out_of_cpu(
                os.WTERMSIG(ending.status), ending.cpu, verdict.cpu_limit
            )
        if verdict.pipe >= 0:
            self._end_program(verdict)
        else:  # whoever judged has hung up: the program hears that sooner than a word of its server
            verdict.parts = _parts(verdict.report)
            self.loop.at(verdict.number, _PARTING_SECONDS, lambda: self._end_program(verdict))
        self._finish(verdict)

    def _end_program(self, verdict: _Verdict) -> None:
        self._tell_done(verdict)
        self.loop.at(verdict.number, _ENDING_SECONDS, lambda: self._program_stuck(verdict))

    def _tell_done(self, verdict: _Verdict) -> None:
        """Lets the program's side end, once."""
        if verdict.told:
            return
        verdict.told = True
        verdict.parts = _parts(verdict.report)
        self.loop.send_link({"done": verdict.number, "gone": _GONE in verdict.parts})

    def _program_stuck(self, verdict: _Verdict) -> None:
        if verdict.number in self._open:
            verdict.program = {"infra": "the program's process did not end", "clean": False}
            self._finish(verdict)

    def _on_link(self, message: dict[str, Any], _descriptor: int | None) -> None:
        verdict = self._open.get(message.get("ended", -1))
        if verdict is not None:
            verdict.program = message
            self._finish(verdict)

    def _finish(self, verdict: _Verdict) -> None:
        if verdict.judged is None or verdict.program is None:
            return
        del self._open[verdict.number]
        self.loop.cancel(verdict.number)
        parts = verdict.parts
        clean = verdict.judged.clean and bool(verdict.program.get("clean", False))
        self._leave(verdict.place, clean=clean)
        self.loop.send(
            {
                "run": verdict.number,
                "judge": parts.get(_GONE) or parts.get(_STAYED),
                "prepared": parts.get(_PREPARED),
                "judge_timed_out": verdict.timed_out,
                "program": verdict.program,
                "clean": clean,
            }
        )


def _judge_limits(limits: dict[str, Any], base_bytes: int) -> Rlimits:
    return Rlimits(
        cpu_seconds=max(1, int(limits["judge_seconds"])),
        address_space=base_bytes + _JUDGE_MEMORY,
        processes=_JUDGE_PROCESSES,
        file_bytes=_JUDGE_FILES,
        descriptors=256,
    )


def _report(text: bytes, descriptors: list[int]) -> None:
    """What the process of a judge does."""
    candidate, writer = descriptors
    sys.setrecursionlimit(_RECURSION_LIMIT)

    def tell(mark: bytes, message: object) -> None:
        wire.write_all(writer, _part(mark, message))

    message = judge.judge(told(text), plain_socket(candidate), lambda kept: tell(_PREPARED, kept))
    tell(_GONE if message["gone"] else _STAYED, message)


def _judge_literal(text: bytes, descriptors: list[int]) -> bytes:
    """What a slot's process does itself: it executes nobody's code."""
    with contextlib.closing(plain_socket(descriptors[0])) as sock:
        message = literal.judge(told(text), sock)
    return _part(_GONE if message["gone"] else _STAYED, message)


def _part(mark: bytes, message: object) -> bytes:
    body = wire.text(message)
    return mark + _LENGTH.pack(len(body)) + body


def _parts(report: bytearray) -> dict[bytes, str]:
    """The texts in what a judge has written, the first of each mark; incomplete ones are left."""
    found: dict[bytes, str] = {}
    place = 0
    while len(report) - place >= _HEAD:
        mark = bytes(report[place : place + 1])
        (length,) = _LENGTH.unpack_from(report, place + 1)
        body = report[place + _HEAD : place + _HEAD + length]
        if len(body) < length:
            break
        found.setdefault(mark, body.decode("utf-8", "replace"))
        place += _HEAD + length
    return found
