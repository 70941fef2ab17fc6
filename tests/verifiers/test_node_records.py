"""What the judge makes of the records of a test file's process: nothing that does not fit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from sandbox.guest.repository_files_judge import FileRecords, Suite, file_key

KEY = b"k" * 32
FILE = "a.test.js"
Record = Sequence[str]
START: list[Record] = [("start", "v20")]
CANARY: list[Record] = [
    ("begin", "canary"), ("seen", "threw", "canary"), ("test", "failed", "0.1", "1 2", "canary"),
]  # fmt: skip


def passing(*names: str, seen: str = "fine") -> list[Record]:
    return [("begin", *names), ("seen", seen, *names), ("test", "passed", "0.1", "", *names)]


def lines(records: Sequence[Record], key: bytes = KEY) -> bytes:
    """Records, chained as the guard of a process chains them."""
    state, data = key, b""
    for words in records:
        body = b" ".join(word.encode().hex().encode() or b"-" for word in words)
        state = hashlib.sha256(state + body).digest()
        data += body + b" " + state[:16].hex().encode() + b"\n"
    return data


def judged(records: Sequence[Record], code: int = 1, *, finish: bool = True) -> FileRecords:
    found = FileRecords(FILE, KEY, "/slots/0/tree/")
    found.feed(lines([*START, *records, *([("finish",)] if finish else [])]))
    found.close(code, "")
    return found


def status(found: FileRecords, name: str = "s > one") -> str:
    return found.tests[f"{FILE}::{name}"].status


def test_a_test_passes_that_was_told_so_and_was_seen_to() -> None:
    found = judged([*passing("s", "one"), *CANARY])
    assert (found.foul, found.twice) == ("", [])
    assert (status(found), status(found, "canary")) == ("passed", "failed")


@pytest.mark.parametrize(
    ("records", "code", "finish"),
    [
        ([*passing("s", "one"), *CANARY], 0, True),
        ([*passing("s", "one"), *CANARY], 13, True),
        ([*passing("s", "one"), *CANARY], -9, True),
        ([*passing("s", "one"), *CANARY], 1, False),
        (passing("s", "one"), 0, False),
        ([*passing("s", "one", seen="threw"), *CANARY], 1, True),
        ([("test", "passed", "0.1", "", "s", "one"), *CANARY], 1, True),
    ],
)
def test_what_does_not_fit_has_not_passed(
    records: Sequence[Record], code: int, finish: bool
) -> None:
    assert status(judged(records, code, finish=finish)) in ("error", "failed")


@pytest.mark.parametrize(
    "records",
    [
        [("start", "again")],
        [("nothing", "such")],
        [("test", "splendid", "0.1", "", "s", "one")],
        [("test", "passed", "soon", "", "s", "one")],
        [("seen",)],
        [("finish",), ("begin", "s", "one")],
        [("foul", "what should not have been")],
    ],
)
def test_what_is_out_of_place_is_foul(records: Sequence[Record]) -> None:
    assert judged(records).foul


def test_a_test_told_of_twice_is_said_so() -> None:
    found = judged([*passing("s", "one"), *passing("s", "one"), *CANARY])
    assert f"{FILE}::s > one" in found.twice


def test_forged_records_are_foul() -> None:
    data = lines([*START, *passing("s", "one")])
    for forged in (
        data.replace(data[-20:-1], b"0" * 19),
        data + lines([("finish",)], b"x" * 32),
        data + data.splitlines(keepends=True)[-1],
        data + b"66 no hash at all\n",
        data + b"a" * (2 << 20),
    ):
        found = FileRecords(FILE, KEY)
        found.feed(forged)
        assert found.foul


def test_each_file_has_a_key_of_its_own_and_paths_are_the_repository_s() -> None:
    suite = Suite(KEY)
    suite.take({"tree": "/slots/0/tree/"})
    detail = "at f (file:///slots/0/tree/src/a.js:1:2)\nat g (/slots/0/tree/b.js:3:4)"
    for file in ("a.test.js", "b.test.js"):
        suite.take({"file": file})
        told = [*START, ("begin", "x"), ("test", "failed", "0", detail, "x"), ("finish",)]
        suite.take({"bytes": lines(told, file_key(KEY, file)).hex()})
        suite.take({"closed": {"code": 1, "tail": ""}})
    assert [one.foul for one in suite.files] == ["", ""]
    assert suite.files[1].tests["b.test.js::x"].detail == "at f (src/a.js:1:2)\nat g (b.js:3:4)"
    suite.take({"file": "c.test.js"})
    suite.take({"closed": {"code": 1, "tail": "x\nReferenceError: t\n    at x\n\nNode.js v20"}})
    assert suite.uncollected["c.test.js"].splitlines()[-2] == "ReferenceError: t"
