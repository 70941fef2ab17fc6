"""What the judge makes of a suite's records: it believes nothing that does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b

import pytest

from sandbox.guest.repository_judge import Records

KEY = b"k" * 32
NAME = "test_a.py::test_one"
Record = Sequence[str]


class Writer:
    """Chains records as the suite's process does."""

    def __init__(self, key: bytes = KEY) -> None:
        self._state = blake2b(key=key, digest_size=16)

    def line(self, *words: str) -> bytes:
        body = b" ".join(word.encode().hex().encode() or b"-" for word in words)
        self._state.update(body)
        return body + b" " + self._state.copy().hexdigest().encode() + b"\n"


def phases(
    call: str = "passed", *, seen: str = "", marks: str = "", name: str = NAME
) -> list[Record]:
    seen = seen or ("fine" if call == "passed" else "AssertionError")
    return [
        ("begin", name),
        ("phase", name, "setup", "passed", "fine", "", "0.1", ""),
        ("phase", name, "call", call, seen, marks, "0.1", "" if call == "passed" else "why"),
        ("phase", name, "teardown", "passed", "fine", "", "0.1", ""),
        ("end", name),
    ]


def whole(*tests: list[Record], names: Sequence[str] = (NAME,), status: str = "0") -> list[Record]:
    head: list[Record] = [("start", "9")]
    head += [("collected", name) for name in names]
    body = [record for test in tests for record in test]
    return [
        *head,
        ("ready", str(len(names))),
        *body,
        ("finish", status),
        ("exit", status),
    ]


def judged(records: Sequence[Record], code: int = 0) -> Records:
    writer, found = Writer(), Records(KEY)
    for record in records:
        found.feed(writer.line(*record))
    found.close(code)
    return found


def test_an_honest_run() -> None:
    found = judged(whole(phases()))
    assert found.foul == ""
    assert found.tests[NAME].status == "passed"
    assert found.tests[NAME].seconds == pytest.approx(0.3)


def test_records_in_pieces() -> None:
    writer, found = Writer(), Records(KEY)
    data = b"".join(writer.line(*record) for record in whole(phases()))
    for place in range(len(data)):
        found.feed(data[place : place + 1])
    found.close(0)
    assert found.foul == ""


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (phases("failed"), "failed"),
        (phases("skipped", seen="Skipped"), "skipped"),
        (phases("skipped", marks="xfail"), "xfailed"),
        (phases("passed", marks="xfail"), "xpassed"),
        (phases("passed", seen="AssertionError"), "failed"),  # the report was changed
        (phases("passed", seen="unseen"), "failed"),  # the test was never called
    ],
)
def test_a_test_passes_by_report_and_by_sight(record: list[Record], status: str) -> None:
    found = judged(whole(record, status=str(code := int(status == "failed"))), code)
    assert found.tests[NAME].status == status
    assert found.foul == ""


def test_a_failure_at_the_end_counts() -> None:
    record = phases()
    record[3] = ("phase", NAME, "teardown", "failed", "OSError", "", "0.1", "why")
    found = judged(whole(record, status="1"), 1)
    assert (found.tests[NAME].status, found.tests[NAME].detail) == ("error", "why")


def test_a_part_that_failed_fails_its_test() -> None:
    record = phases()
    record.insert(2, ("part", NAME, "failed", "the second"))
    found = judged(whole(record, status="1"), 1)
    assert (found.tests[NAME].status, found.tests[NAME].detail) == ("failed", "the second")


def _drop(*kinds: str) -> Callable[[list[Record]], list[Record]]:
    return lambda records: [record for record in records if record[0] not in kinds]


def _twice(kind: str) -> Callable[[list[Record]], list[Record]]:
    return lambda records: [r for record in records for r in [record] * (1 + (record[0] == kind))]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (_drop("start"), 0, "wrong order"),
        (_drop("ready"), 0, "wrong order"),
        (_drop("finish"), 0, "wrong order"),
        (_drop("exit"), 0, "ended early with status 0"),
        (_drop("exit", "finish", "end"), 0, f"ended early with status 0, in {NAME}"),
        (_drop("begin"), 0, "not running"),
        (_drop("phase"), 1, "exit status|status"),
        (_twice("start"), 0, "wrong order"),
        (_twice("begin"), 0, "could not"),
        (_twice("phase"), 0, "wrong order"),
        (_twice("end"), 0, "not running"),
        (_twice("exit"), 0, "out of place"),
        (_twice("ready"), 0, "wrong order"),
        (lambda records: [*records, ("collected", "more")], 0, "out of place"),
        (lambda records: [("nonsense",), *records], 0, "out of place"),
        (lambda records: [("foul", "patched"), *records], 0, "patched"),
        (lambda records: [("phase", NAME), *records], 0, "malformed"),
        (lambda records: records, 1, "ended with 1"),
        (lambda records: records, -9, "ended with -9"),
    ],
)
def test_what_does_not_fit_is_foul(
    change: Callable[[list[Record]], list[Record]], code: int, says: str
) -> None:
    found = judged(change(whole(phases())), code)
    assert found.foul
    assert re.search(says, found.foul), found.foul


@pytest.mark.parametrize(
    ("test", "status"), [(phases("failed"), "0"), (phases(), "1"), (phases(), "5"), (phases(), "3")]
)
def test_an_exit_status_that_does_not_fit_the_reports(test: list[Record], status: str) -> None:
    assert "does not fit the reports" in judged(whole(test, status=status), int(status)).foul


def test_a_test_that_runs_twice_is_foul_even_if_it_passes_then() -> None:
    found = judged(whole(phases("failed"), phases()))
    assert "run twice" in found.foul


def test_a_test_of_a_name_that_was_never_collected() -> None:
    assert "could not" in judged(whole(phases(name="test_b.py::test_two"))).foul


def test_a_record_with_another_key() -> None:
    found = Records(KEY)
    found.feed(Writer(b"x" * 32).line("start", "9"))
    assert "forged" in found.foul


def test_a_record_copied_or_slipped_in_breaks_the_chain() -> None:
    writer = Writer()
    lines = [writer.line(*record) for record in whole(phases())]
    for place in range(1, len(lines)):
        found = Records(KEY)
        for line in [*lines[:place], lines[place - 1], *lines[place:]]:
            found.feed(line)
        assert "forged" in found.foul


def test_a_record_left_out_breaks_the_chain() -> None:
    writer = Writer()
    lines = [writer.line(*record) for record in whole(phases("failed"), status="1")]
    for place in range(len(lines) - 1):
        found = Records(KEY)
        for line in [*lines[:place], *lines[place + 1 :]]:
            found.feed(line)
        assert "forged" in found.foul


@pytest.mark.parametrize("junk", [b"\n", b"zz 00\n", b"\xff\xfe\n", b"x" * (1 << 21)])
def test_bytes_that_are_no_record(junk: bytes) -> None:
    found = Records(KEY)
    found.feed(junk)
    assert found.foul
