"""What the records of a repository's suite amount to: judged far from where they were made.

Runs in the judge's process, and believes a record only where it fits: the chain of hashes, the
order of steps, pytest's word against what was seen of each step, the exit status against all of it.
What does not fit is said in `foul`, and the run can't be trusted then.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from .repository_records import KEY_BYTES, LINE_LIMIT, Test, have_run, whole_lines, word

_STEPS = ("setup", "call", "teardown")
_TESTS_FAILED, _NONE_COLLECTED = 1, 5


@dataclass(slots=True)
class Records:
    """Takes one record after the other and notes the first that does not fit."""

    key: bytes
    foul: str = ""
    tests: dict[str, Test] = field(default_factory=dict)
    uncollected: dict[str, str] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    state: str = "new"
    exit: int = -1
    running: str = ""
    _buffer: bytearray = field(default_factory=bytearray)
    _chain: Any = None

    def feed(self, data: bytes) -> None:
        """Takes bytes as they come off the pipe."""
        for line in whole_lines(self._buffer, data):
            self._line(line)
        if len(self._buffer) > LINE_LIMIT:
            self._object("a record is too long")

    def _object(self, why: str) -> None:
        self.foul = self.foul or why

    def _line(self, line: bytes) -> None:
        if self._chain is None:
            self._chain = blake2b(key=self.key, digest_size=16)
        body, _, tag = line.rpartition(b" ")
        self._chain.update(body)
        if not secrets.compare_digest(self._chain.copy().hexdigest().encode(), tag):
            self._object("a record was forged: it does not fit the ones before")
            return
        try:
            words = [word(part) for part in body.split(b" ")]
        except ValueError:
            self._object("a record is malformed")
            return
        handler = getattr(self, f"_on_{words[0]}", None)
        if handler is None or self.state == "exit":
            self._object(f"a record {words[0][:40]!r} is out of place")
            return
        try:
            handler(*words[1:])
        except (TypeError, ValueError):
            self._object(f"a record {words[0][:40]!r} is malformed")

    def _expect(self, *states: str) -> bool:
        if self.state not in states:
            self._object("the suite's steps came in a wrong order")
            return False
        return True

    def _on_foul(self, what: str) -> None:
        self._object(what)

    def _on_start(self, _version: str) -> None:
        if self._expect("new"):
            self.state = "collecting"

    def _on_uncollected(self, name: str, detail: str) -> None:
        if self._expect("collecting"):
            self.uncollected[name] = detail

    def _on_collected(self, name: str) -> None:
        if self._expect("collecting"):
            if name in self.tests:
                self.twice.append(name)
            self.tests[name] = Test(name)

    def _on_ready(self, count: str) -> None:
        if self._expect("collecting"):
            self.state = "running"
            if int(count) != len(self.tests) + len(self.twice):
                self._object("the number of tests is not the number of ids")

    def _on_begin(self, name: str) -> None:
        test = self.tests.get(name)
        if not self._expect("running"):
            return
        if test is None or test.open or self.running:
            self._object("a test began that could not")
        elif test.begun and name not in self.twice:
            self._object(f"{name} was run twice")
        else:
            test.begun = test.open = True
            test.status, test.step = "unfinished", 0
            self.running = name

    def _on_phase(
        self, name: str, when: str, outcome: str, seen: str, marks: str, seconds: str, detail: str
    ) -> None:
        test = self.tests.get(name)
        if test is None or name != self.running:
            self._object("a report came for a test that is not running")
            return
        step = _STEPS.index(when)
        if step < test.step or (step == 1 and test.status not in ("unfinished", "failed")):
            self._object(f"the steps of {name} came in a wrong order")
            return
        test.step = step + 1
        test.seconds += float(seconds)
        status = _status(when, outcome, seen, marks)
        if when == "setup" and status == "passed":
            return
        if when == "teardown" and status == "passed":
            return
        if when == "teardown" or test.status == "unfinished":
            test.status, test.detail = status, detail or f"pytest says {outcome}, seen was {seen}"
        if test.status == "passed":
            test.detail = ""

    def _on_part(self, name: str, outcome: str, detail: str) -> None:
        test = self.tests.get(name)
        if test is None or name != self.running:
            self._object("a report came for a test that is not running")
        elif outcome == "failed":
            test.status, test.detail = "failed", detail

    def _on_reached(self, name: str, path: str, entered: str, lines: str) -> None:
        test = self.tests.get(name)
        if test is None or name != self.running:
            self._object("a report came for a test that is not running")
        else:
            test.reached[path] = entered, lines

    def _on_end(self, name: str) -> None:
        test = self.tests.get(name)
        if test is None or name != self.running:
            self._object("a test ended that was not running")
            return
        test.open, self.running = False, ""
        if test.status == "unfinished":
            test.status, test.detail = "error", "the test ended without a report"
        elif test.step != len(_STEPS):
            self._object(f"{name} ended without its teardown")

    def _on_finish(self, _status: str) -> None:
        if self._expect("running", "collecting"):
            self.state = "finished"

    def _on_exit(self, status: str) -> None:
        if self._expect("finished"):
            self.state, self.exit = "exit", int(status)

    def close(self, code: int) -> None:
        """Compares the end of the process with what it had told."""
        if self.state != "exit":
            at = f", in {self.running}" if self.running else ""
            self._object(f"the process ended early with status {code}{at}")
            return
        if code != self.exit:
            self._object(f"the process told of status {self.exit} and ended with {code}")
        bad = self.uncollected or any(
            test.status in ("failed", "error", "unfinished") for test in self.tests.values()
        )
        allowed = {_TESTS_FAILED, 2} if bad else {0} if self.tests else {_NONE_COLLECTED}
        if code not in allowed:
            self._object(f"exit status {code} does not fit the reports")


def _status(when: str, outcome: str, seen: str, marks: str) -> str:
    """A step's status: passed only where pytest and the observer agree on it."""
    if outcome == "passed" and not marks:
        if seen == "fine":
            return "passed"
        return "failed" if when == "call" else "error"
    if outcome == "passed":
        return "xpassed"
    if outcome == "skipped":
        return "xfailed" if marks else "skipped"
    return "failed" if when == "call" else "error"


def judge(job: dict[str, Any], sock: socket.socket) -> dict[str, Any]:
    """Has the suite run, and reports what became of each test."""
    records = Records(secrets.token_bytes(KEY_BYTES))

    def take(message: dict[str, Any]) -> None:
        records.feed(bytes.fromhex(message["bytes"]))

    end = have_run(job, sock, records.key, take)
    if end.said and not end.breach and not end.fault:
        records.close(end.said["code"])
    return end.report(
        records.tests.values(),
        uncollected=records.uncollected,
        twice=records.twice,
        foul=records.foul,
        running=records.running,
        complete=records.state == "exit" and not end.breach,
    )
