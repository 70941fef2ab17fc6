"""Fuzzes the reader of a run's journal: whatever the disk made of it, it opens or says why not."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from agent.journal import Journal, JournalError

INSTRUMENTED = ("agent.journal",)
WORDS = (
    '{"n": 1, ', '"kind": "sample"', '"data": {}', '"hash": ', '{"task": "T/1", "index": 0}',
    "null", "[[[[", "\n", "1e999", "\\ud800", '""',
)  # fmt: skip
LONGEST = 4096


@functools.cache
def _folder() -> Path:
    """In memory, where there is such a place: the journal asks the disk to keep all it writes."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    made = tempfile.TemporaryDirectory(prefix="regreen-fuzz-", dir=memory)
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def _whole() -> bytes:
    """A journal as it should be."""
    folder = _folder() / "whole"
    journal = Journal(folder)
    for index in range(3):
        journal.append("asked", {"task": "T/1", "index": index})
        journal.append("sample", {"task": "T/1", "index": index, "text": "é\ud800"})
    journal.close()
    return (folder / "journal.jsonl").read_bytes()


def seeds() -> list[bytes]:
    """What a fuzzer starts from: whole, cut, spoiled, and not a journal at all."""
    whole = _whole()
    return [
        b"\0" + whole,
        b"\0" + whole[: len(whole) // 2],
        b"\0" + whole.replace(b"sample", b"simple", 1),
        *(bytes([1, at, 7]) for at in range(0, 250, 25)),
        *(bytes([2, at]) for at in range(0, 250, 25)),
        b"\3\n",
        b"\3{}\n",
        b"\3" + b"[" * 3000 + b"\n",
    ]


def check(data: bytes) -> None:
    """Opens a journal that holds this; what opens can be written to and read again."""
    way, rest = data[:1], data[1:]
    text = rest
    if way == b"\1" and len(rest) >= 2:  # one byte of a good one is changed
        at = rest[0] * len(_whole()) // 256
        text = _whole()[:at] + rest[1:] + _whole()[at + len(rest) - 1 :]
    elif way == b"\2" and rest:  # a good one is cut, and something follows
        text = _whole()[: rest[0] * len(_whole()) // 256] + rest[1:]
    elif way == b"\3":
        text = _whole() + rest
    folder = _folder() / "fuzzed"
    folder.mkdir(exist_ok=True)
    (folder / "journal.jsonl").write_bytes(text)
    try:
        journal = Journal(folder)
    except JournalError as error:
        _is_one_line(str(error))
        return
    kept = list(journal)
    journal.append("sample", {"task": "T/2", "index": 5, "text": "x"})
    journal.close()
    again = Journal(folder)
    assert list(again)[:-1] == kept
    assert again.get("sample", "T/2", 5) == {"task": "T/2", "index": 5, "text": "x"}
    again.close()
    assert [record["n"] for record in kept] == list(range(1, len(kept) + 1))


def _is_one_line(text: str) -> None:
    assert text
    assert "\n" not in text


def describe(data: bytes) -> str:
    """The data as a person would look at it."""
    return repr(data)
