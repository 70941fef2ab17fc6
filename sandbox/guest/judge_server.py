"""The server on the judge's side: takes jobs from the controller, forks a judge for each verdict.

It creates the socket pair between judge and candidate and hands one end to the zygote, together
with the program and nothing else of the job. When both sides have ended it reports to the
controller.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from . import judge
from .confine import Confinement
from .limits import address_space, ran_out_of_cpu
from .lockdown import Rlimits
from .loop import Loop

PUBLIC_FIELDS = ("slot", "program", "module", "language", "kind", "limits")
"""All of a job that the candidates' side is ever told."""

_REPORT_LIMIT = 32 << 20
_JUDGE_MEMORY = 2 << 30
_JUDGE_FILES = 64 << 20
_JUDGE_PROCESSES = 64
_ENDING_SECONDS = 20.0


@dataclass(slots=True)
class _Verdict:
    number: int
    slot: int
    uid: int
    cpu_limit: int
    pid: int = 0
    pipe: int = -1
    report: bytearray | None = None
    said: dict[str, Any] | None = None
    told: bool = False
    judged: bool = False
    timed_out: bool = False
    clean: bool = True
    program: dict[str, Any] | None = None


class JudgeServer:
    """Runs judges and merges what they say with how the programs ended."""

    def __init__(self, link: socket.socket, confinement: Confinement, heavy: bool) -> None:
        self._confinement = confinement
        self._open: dict[int, _Verdict] = {}
        self._loop = Loop(
            link,
            on_frame=self._on_job,
            on_link=self._on_link,
            on_exit=self._on_exit,
            on_stop=confinement.end_all,
        )
        self._heavy_loaded = not heavy

    def serve(self, hello: dict[str, Any]) -> NoReturn:
        """Says hello and then runs until the controller or the zygote goes away."""
        self._loop.send({"hello": hello})
        self._loop.run()

    def _on_job(self, job: dict[str, Any]) -> None:
        if any(test["kind"] == "pytest" for test in job["tests"]):
            self._load_heavy()
        number = job["run"]
        rlimits = _judge_limits(job["limits"])
        verdict = _Verdict(number, job["slot"], 0, rlimits.cpu_seconds)
        self._open[number] = verdict
        ours, theirs = socket.socketpair()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            public = {name: job[name] for name in PUBLIC_FIELDS}
            self._loop.send_link({"start": number, "descriptor": True, **public}, theirs.fileno())
            verdict.uid = self._confinement.next_uid()
            descriptor = ours.detach()
            verdict.pid = self._confinement.fork(
                job["slot"],
                verdict.uid,
                rlimits,
                (descriptor, writer),
                (-1, -1, -1),
                lambda: _report(job, descriptor, writer),
            )
            os.close(descriptor)
        except (OSError, RuntimeError) as error:
            os.close(reader)
            del self._open[number]
            self._loop.send_link({"done": number})
            self._loop.send({"run": number, "infra": f"can't start a judge: {error}"})
            return
        finally:
            theirs.close()
            os.close(writer)
        verdict.pipe = reader
        verdict.report = bytearray()
        self._loop.watched.add(verdict.pid)
        self._loop.watch(reader, lambda: self._read(verdict))
        limits = job["limits"]
        cases = sum(len(test.get("cases", ())) for test in job["tests"])
        allowed = limits["judge_seconds"] + limits["wall_seconds"] * max(1, cases)
        self._loop.at(number, allowed, lambda: self._give_up(verdict))

    def _load_heavy(self) -> None:
        """Imports what property tests need, once, so that each judge inherits it."""
        if self._heavy_loaded:
            return
        self._heavy_loaded = True
        import gc

        with contextlib.suppress(ImportError):
            import pytest  # noqa: F401

            from . import pytest_tests  # noqa: F401
        gc.freeze()

    def _read(self, verdict: _Verdict) -> None:
        data = os.read(verdict.pipe, 1 << 18)
        if not data:
            self._loop.unwatch(verdict.pipe)
            self._tell_done(verdict)  # before the judge's exit, which takes a moment longer
            return
        if verdict.report is not None:
            verdict.report += data
            if len(verdict.report) > _REPORT_LIMIT:
                self._give_up(verdict)

    def _give_up(self, verdict: _Verdict) -> None:
        verdict.timed_out = True
        with contextlib.suppress(OSError):
            os.kill(verdict.pid, signal.SIGKILL)

    def _on_exit(self, pid: int, status: int, usage: Any) -> None:
        verdict = next(found for found in self._open.values() if found.pid == pid)
        with contextlib.suppress(OSError):
            while verdict.report is not None and (data := os.read(verdict.pipe, 1 << 18)):
                verdict.report += data
        self._loop.unwatch(verdict.pipe)
        self._loop.cancel(verdict.number)
        os.close(verdict.pipe)
        verdict.judged = True
        if os.WIFSIGNALED(status):
            cpu = usage.ru_utime + usage.ru_stime
            # What the program replied may be what it choked on: that is no fault of the sandbox.
            verdict.timed_out |= ran_out_of_cpu(os.WTERMSIG(status), cpu, verdict.cpu_limit)
        verdict.clean = self._confinement.clean(verdict.slot, verdict.uid, self._loop.watched)
        self._tell_done(verdict)
        self._loop.at(verdict.number, _ENDING_SECONDS, lambda: self._program_stuck(verdict))
        self._finish(verdict)

    def _tell_done(self, verdict: _Verdict) -> None:
        """Reads the judge's report and lets the program's side end, once."""
        if verdict.told:
            return
        verdict.told = True
        with contextlib.suppress(ValueError):
            verdict.said = json.loads(bytes(verdict.report or b""))
        gone = bool(verdict.said and verdict.said["gone"])
        self._loop.send_link({"done": verdict.number, "gone": gone})

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
        if not verdict.judged or verdict.program is None:
            return
        del self._open[verdict.number]
        self._loop.cancel(verdict.number)
        self._loop.send(
            {
                "run": verdict.number,
                "judge": verdict.said,
                "judge_timed_out": verdict.timed_out,
                "program": verdict.program,
                "clean": verdict.clean and bool(verdict.program.get("clean", False)),
            }
        )


def _judge_limits(limits: dict[str, Any]) -> Rlimits:
    return Rlimits(
        cpu_seconds=max(1, int(limits["judge_seconds"])),
        address_space=address_space() + _JUDGE_MEMORY,
        processes=_JUDGE_PROCESSES,
        file_bytes=_JUDGE_FILES,
        descriptors=256,
    )


def _report(job: dict[str, Any], candidate: int, writer: int) -> None:
    sys.setrecursionlimit(5000)
    message = judge.judge(job, socket.socket(fileno=candidate))
    data = memoryview(json.dumps(message).encode())
    while data:
        data = data[os.write(writer, data) :]
