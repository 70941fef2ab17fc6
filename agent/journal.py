"""The append-only record of a run, from which a killed run goes on without paying twice.

One JSON object a line: a number, a kind, the data, and a hash over the line before and this one,
so that damage is noticed. A torn last line (the machine stopped in mid-write) is cut off. Beside
it lies an index in sqlite, which can be rebuilt from the lines at any time.

Every line is handed to the kernel at once, which is enough for a killed process; the disk is asked
to keep it once a second and at the end, which is for a machine that loses power.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SYNC_SECONDS = 1.0
_START = "regreen journal 1"


class JournalError(Exception):
    """A journal can't be read or written. The message is one line with file and line number."""


class Journal:
    """A run's journal; opened once, by one process at a time.

    Args:
        folder: the run's folder; `journal.jsonl` and `index.sqlite` lie in it.

    Raises:
        JournalError: it is damaged, locked by another process, or can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror}") from None
        self._lock()
        self._synced = time.monotonic()
        self._hash = hashlib.sha256(_START.encode()).hexdigest()
        self._count = 0
        self._size = 0
        try:
            self._index = self._open_index(folder / "index.sqlite")
        except (OSError, sqlite3.Error) as error:
            os.close(self._file)
            raise JournalError(f"{folder}/index.sqlite can't be made: {error}") from None
        try:
            self._read_all()
        except sqlite3.Error as error:
            self.close()
            raise JournalError(f"{folder}/index.sqlite can't be written: {error}") from None
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise JournalError(f"{self.path}: another process is writing this run") from None

    def _open_index(self, path: Path) -> sqlite3.Connection:
        path.unlink(missing_ok=True)  # it is read back from the lines, so that they never disagree
        index = sqlite3.connect(str(path), isolation_level=None)
        index.execute("PRAGMA journal_mode=OFF")
        index.execute("PRAGMA synchronous=OFF")
        index.execute(
            "CREATE TABLE entries (kind TEXT, task BLOB, number INTEGER, start INTEGER, "
            "length INTEGER, PRIMARY KEY (kind, task, number)) WITHOUT ROWID"
        )
        return index

    def _read_all(self) -> None:
        with open(self.path, "rb") as file:
            for line_number, line in enumerate(file, start=1):
                record = _parse(line)
                whole = line.endswith(b"\n")
                if not whole or record is None or record["hash"] != self._next_hash(record):
                    if whole and file.read(1):
                        raise JournalError(
                            f"{self.path}, line {line_number}: damaged; "
                            "start a new run, or cut the file off before this line"
                        )
                    os.ftruncate(self._file, self._size)
                    return
                self._note(record, len(line))

    def _next_hash(self, record: dict[str, Any]) -> str:
        return _chained(self._hash, record)

    def _note(self, record: dict[str, Any], length: int) -> None:
        data = record["data"]
        self._index.execute(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)",
            (record["kind"], _key(data.get("task", "")), data.get("index", 0), self._size, length),
        )
        self._hash = record["hash"]
        self._count = record["n"]
        self._size += length

    def append(self, kind: str, data: dict[str, Any]) -> None:
        """Adds a record; `task` and `index` in its data make it findable.

        Raises:
            JournalError: the disk is full, or it can't be written for another reason.
        """
        record: dict[str, Any] = {"n": self._count + 1, "kind": kind, "data": data}
        record["hash"] = self._next_hash(record)
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._note(record, len(line))
        except (OSError, sqlite3.Error) as error:
            os.ftruncate(self._file, self._size)
            reason = error.strerror if isinstance(error, OSError) else error
            raise JournalError(
                f"{self.path}: {reason}; what was received before is kept, "
                "make room and go on with --resume"
            ) from None
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def get(self, kind: str, task: str, index: int = 0) -> dict[str, Any] | None:
        """The newest record's data of that kind, task and index."""
        row = self._index.execute(
            "SELECT start, length FROM entries WHERE kind = ? AND task = ? AND number = ?",
            (kind, _key(task), index),
        ).fetchone()
        if row is None:
            return None
        record = _parse(os.pread(self._file, row[1], row[0]))
        if record is None:
            raise JournalError(f"{self.path}: damaged at byte {row[0]}")
        data: dict[str, Any] = record["data"]
        return data

    def keys(self, kind: str) -> list[tuple[str, int]]:
        """Task and index of every record of a kind."""
        rows = self._index.execute("SELECT task, number FROM entries WHERE kind = ?", (kind,))
        return [(task.decode("utf-8", "surrogatepass"), number) for task, number in rows]

    def numbers(self, kind: str, task: str) -> list[int]:
        """The indices of a task's records of a kind, in order."""
        rows = self._index.execute(
            "SELECT number FROM entries WHERE kind = ? AND task = ? ORDER BY number",
            (kind, _key(task)),
        )
        return [number for (number,) in rows]

    def lost(self) -> list[tuple[str, int]]:
        """Calls that were begun and never answered: under way when the run was killed.

        Those that the search itself called off are none of them.
        """
        answered = {key for kind in ("sample", "refused", "dropped") for key in self.keys(kind)}
        return sorted(key for key in self.keys("asked") if key not in answered)

    def sync(self) -> None:
        """Asks the disk to keep all that was written."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Syncs and closes. Idempotent."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1
            self._index.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All records in order."""
        with open(self.path, "rb") as file:
            for line in file:
                record = _parse(line)
                if record is not None:
                    yield record


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of a run's journal in order; nothing is locked, repaired or written.

    A torn last line, of a run that is under way or was killed, is left out.

    Raises:
        JournalError: it can't be read, or is damaged.
    """
    path = folder / "journal.jsonl"
    before = hashlib.sha256(_START.encode()).hexdigest()
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                record = _parse(line)
                if record is None or record["hash"] != _chained(before, record):
                    if line.endswith(b"\n") and file.read(1):
                        raise JournalError(f"{path}, line {number}: damaged")
                    return
                before = record["hash"]
                yield record
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from None


def _chained(before: str, record: dict[str, Any]) -> str:
    """The hash over the line before and this one."""
    body = json.dumps([record["n"], record["kind"], record["data"]], sort_keys=True)
    return hashlib.sha256(f"{before}{body}".encode()).hexdigest()


def _key(task: str) -> bytes:
    return task.encode("utf-8", "surrogatepass")  # sqlite's own text has to be valid Unicode


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or set(record) != {"n", "kind", "data", "hash"}:
        return None
    return record
