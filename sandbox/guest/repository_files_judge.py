"""What the records of a suite with a process for each file amount to: judged far from there.

Each file's records are chained by SHA-256: the first half of each hash goes with its record, the
whole of it is the secret from which the next is made, and the first secret is the file's key. A
file's process must tell of its end, with a status that fits what it told of its tests; if not, none
of them has passed. A test has passed if it was told so once, and its function was seen to end well.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .repository_records import KEY_BYTES, LINE_LIMIT, Test, have_run, whole_lines, word

_TAG_BYTES = 16
_STATUSES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
_BAD = ("failed", "error", "unfinished")
_DETAIL = 3000


def file_key(key: bytes, file: str) -> bytes:
    """The key of one file's process, of which those of others can't be told."""
    return hashlib.sha256(key + file.encode()).digest()


def name_of(file: str, names: Sequence[str]) -> str:
    """The id of a test."""
    return f"{file}::{' > '.join(names)}"


@dataclass(slots=True)
class FileRecords:
    """Takes one record of a file's process after the other; nothing counts before `close`."""

    file: str
    secret: bytes
    tree: str = ""
    foul: str = ""
    tests: dict[str, Test] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    running: str = ""
    note: str = ""
    _seen: dict[str, str] = field(default_factory=dict)
    _state: str = "new"
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        """Takes bytes as they come off the pipe."""
        for line in whole_lines(self._buffer, data):
            self._line(line)
        if len(self._buffer) > LINE_LIMIT:
            self._object("a record is too long")

    def _object(self, why: str) -> None:
        self.foul = self.foul or f"{why} in {self.file}"

    def _line(self, line: bytes) -> None:
        body, _, tag = line.rpartition(b" ")
        self.secret = hashlib.sha256(self.secret + body).digest()
        if not secrets.compare_digest(self.secret[:_TAG_BYTES].hex().encode(), tag):
            self._object("a record was forged: it does not fit the ones before,")
            return
        try:
            kind, *words = (word(part) for part in body.split(b" "))
            self._take(kind, words)
        except (ValueError, IndexError):
            self._object("a record is malformed")

    def _take(self, kind: str, words: list[str]) -> None:
        if (kind == "start") != (self._state == "new") or self._state == "finished":
            self._object(f"a record {kind[:40]!r} is out of place")
        elif kind in ("start", "finish"):
            self._state = "running" if kind == "start" else "finished"
        elif kind == "note":
            self.note = self._plain(words[0])
        elif kind == "begin":
            self._begin(name_of(self.file, words))
        elif kind == "seen":
            self._see(name_of(self.file, words[1:]), words[0])
        elif kind == "test":
            self._end(name_of(self.file, words[3:]), words[0], float(words[1]), words[2])
        else:
            self._object(words[0] if kind == "foul" else f"there is no record {kind[:40]!r},")

    def _begin(self, name: str) -> None:
        test = self.tests.setdefault(name, Test(name))
        if test.begun:
            self.twice.append(name)
        test.begun, self.running = True, name

    def _see(self, name: str, how: str) -> None:
        self._seen[name] = how
        if self.running == name:
            self.running = ""

    def _end(self, name: str, status: str, seconds: float, detail: str) -> None:
        if status not in _STATUSES:
            raise ValueError(status)
        test = self.tests.setdefault(name, Test(name))
        if test.status != "not run":
            self.twice.append(name)
        test.status, test.seconds, test.detail = status, seconds, self._plain(detail)
        if status == "passed" and self._seen.get(name) != "fine":
            test.status, test.detail = "failed", "told as passed, and was not seen to end well"

    def _plain(self, text: str) -> str:
        """A text with the paths of files as they are in the repository."""
        if not self.tree:
            return text
        return text.replace(f"file://{self.tree}", "").replace(self.tree, "")

    def close(self, code: int, tail: str) -> str:
        """Compares the end of the process with what it had told.

        Returns:
            Why nothing in the file counts, if no test in it has failed and its process has.
        """
        self.running = ""
        bad = any(test.status in _BAD for test in self.tests.values())
        if self._state == "finished" and code == int(bad):
            return ""
        why = f"the process ended with status {code}"
        if self._state == "finished":
            why += ", which does not fit its reports"
        said = self.note or self._plain(tail).strip()[-_DETAIL:]
        for test in self.tests.values():
            if test.status not in ("failed", "error"):
                test.status, test.detail = "error", f"{why}\n{_last_words(said)}".strip()
        return f"{_last_words(said)}\n{why}".strip()

    def cut_short(self) -> None:
        """Notes that the process was ended; the test that was running is not done."""
        if self.running:
            self.tests[self.running].status = "unfinished"


def _last_words(said: str) -> str:
    """What a runtime says of its end, the line with the error last."""
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line and not line.startswith(" ")]
    return "\n".join([*lines, *errors[-1:]])


@dataclass(slots=True)
class Suite:
    """What is known of all files."""

    key: bytes
    tree: str = ""
    foul: str = ""
    uncollected: dict[str, str] = field(default_factory=dict)
    files: list[FileRecords] = field(default_factory=list)

    def take(self, message: dict[str, Any]) -> None:
        """One message of the supervisor's."""
        if "tree" in message:
            self.tree = message["tree"]
        elif "file" in message:
            file = message["file"]
            self.files.append(FileRecords(file, file_key(self.key, file), self.tree))
        elif "bytes" in message:
            self.files[-1].feed(bytes.fromhex(message["bytes"]))
        else:
            records = self.files[-1]
            why = records.close(message["closed"]["code"], message["closed"]["tail"])
            if why and not any(
                test.status in ("passed", "failed") for test in records.tests.values()
            ):
                self.uncollected[records.file] = why

    @property
    def running(self) -> str:
        """The test that was running at the last word."""
        return self.files[-1].running if self.files else ""


def judge(job: dict[str, Any], sock: socket.socket) -> dict[str, Any]:
    """Has the suite run, and reports what became of each test."""
    suite = Suite(secrets.token_bytes(KEY_BYTES))
    end = have_run(job, sock, suite.key, suite.take)
    running = suite.running
    if end.breach and suite.files:
        suite.files[-1].cut_short()
    whole = bool(end.said) and not end.fault and not end.breach
    foul = next((file.foul for file in suite.files if file.foul), "")
    if end.said and whole and not suite.files and end.said["code"]:
        foul = end.said["tail"]
    return end.report(
        [test for file in suite.files for test in file.tests.values()],
        uncollected=suite.uncollected,
        twice=[name for file in suite.files for name in file.twice],
        foul=foul,
        running=running,
        complete=whole,
    )
