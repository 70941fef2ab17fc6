"""`regreen verify`: verdicts on programs in files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

Run = Any
RIGHT = "def f(n):\n    return n + 1\n"
SUMMARY = ["total", "passed", "outcomes", "seconds", "candidates_per_second", "pass_at_k"]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_rows_of_all_forms_keep_order_and_fields(regreen: Run, suite: Path, tmp_path: Path) -> None:
    slow = "import time\ntime.sleep(0.4)\n"
    rows: list[dict[str, Any]] = [
        {"task_id": "add/1", "solution": f"{slow}{RIGHT}", "origin": "first", "nested": {"a": [1]}},
        {"task_id": "add/2", "completion": "    return n + 2\n", "origin": "second"},
        {"task_id": "add/2", "solution": "def f(n:\n", "origin": "third"},
        {
            "task_id": "add/1",
            "samples": ["    return n\n", "    return n + 1\n"],
            "origin": "fourth",
        },
        {"task_id": "add/1", "solution": ""},
        {"task_id": "add/1", "solution": "\0"},
        {"task_id": "add/1", "solution": "\ud800"},
    ]
    path = write_rows(tmp_path / "rows.jsonl.gz", rows)
    ended = regreen("verify", suite, "--samples", path, "--json", "-q")
    assert (ended.code, ended.err) == (0, "")
    *got, summary = ended.rows
    assert [row.get("origin") for row in got[:5]] == [
        "first",
        "second",
        "third",
        "fourth",
        "fourth",
    ]
    assert [row["outcome"] for row in got[:5]] == ["passed", "passed", "syntax", "failed", "passed"]
    assert [row["passed"] for row in got] == [True, True, False, False, True, False, False, False]
    assert got[0]["nested"] == {"a": [1]}
    assert [got[3]["sample"], got[4]["sample"]] == [0, 1]
    assert all(row["trust"] == "isolated" for row in got)
    assert list(summary) == SUMMARY
    assert (summary["total"], summary["passed"]) == (8, 3)
    assert sum(summary["outcomes"].values()) == 8
    assert summary["pass_at_k"]["1"] == pytest.approx((2 / 6 + 1 / 2) / 2)


def test_rows_go_into_a_file_and_the_figures_to_stdout(
    regreen: Run, suite: Path, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"task_id": "add/1", "solution": RIGHT}] * 3)
    (tmp_path / "verdicts.jsonl").write_text("old\n" * 1000)
    ended = regreen("verify", suite, "--samples", path, "-o", "verdicts.jsonl")
    assert ended.code == 0
    assert ended.out.startswith("3 of 3 programs passed (1 tasks)\n")
    written = (tmp_path / "verdicts.jsonl").read_text().splitlines()
    assert [json.loads(line)["passed"] for line in written] == [True] * 3


def test_one_solution_decides_the_exit_code(regreen: Run, add_one: Path, tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text("def f(n):\n    return 2\n")
    ended = regreen("verify", add_one, "--solution", "right.py")
    assert ended.code == 0
    assert ended.out.startswith("add_one: passed, reward 1.00\n")
    ended = regreen("verify", add_one, "--solution", "wrong.py")
    assert ended.code == 1
    assert "✗ test_nine" in ended.out
    ended = regreen("verify", add_one, "--solution", "wrong.py", "--json", "-q")
    row, summary = ended.rows
    assert (ended.code, row["reward"], list(summary)) == (1, 0.5, SUMMARY)


def test_what_was_judged_before_a_bad_row_is_given(
    regreen: Run, suite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps({"task_id": "add/1", "solution": RIGHT})
    path.write_text(f"{good}\n{good}\n{{broken\n{good}\n")
    ended = regreen("verify", suite, "--samples", path, "--json", "-q")
    assert ended.code == 2
    assert "rows.jsonl, line 3: no JSON" in ended.line
    assert [row["passed"] for row in ended.rows] == [True, True]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"task_id": "add/9", "solution": "x"}\n', "line 1: suite.jsonl: no task 'add/9'"),
        (b'{"task_id": "add/1"}\n', 'a row has "task_id" and one of "solution"'),
        (b'{"task_id": "add/1", "samples": [1]}\n', "samples is a list of texts"),
        (b"[1, 2]\n", 'a row has "task_id"'),
        (b"[" * 100_000 + b"\n", "line 1: no JSON"),
        (b"\xff\xfe\x00\x01\n", "not readable as text"),
        (b"\n\n", "rows.jsonl: empty"),
    ],
)
def test_bad_rows(regreen: Run, suite: Path, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    ended = regreen("verify", suite.name, "--samples", "rows.jsonl", "-q")
    assert ended.code == 2
    assert said in ended.line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "program.py: empty; a whole program was expected"),
        (b" \n\t\n", "program.py: empty; a whole program was expected"),
        (b"\x7fELF\x02\xff\xfe", "program.py: no text; a program in UTF-8 was expected"),
        (None, "program.py: No such file"),
    ],
)
def test_bad_solutions(
    regreen: Run, add_one: Path, tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "program.py").write_bytes(content)
    ended = regreen("verify", add_one, "--solution", "program.py")
    assert ended.code == 2
    assert said in ended.line


def test_words_that_do_not_go_together(regreen: Run, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    ended = regreen("verify", suite)
    assert ended.code == 2
    assert "one of --samples FILE.jsonl and --solution FILE" in ended.line
    ended = regreen("verify", suite, "--solution", "right.py")
    assert ended.code == 2
    assert "--solution goes with one task" in ended.line


def test_a_full_disk(regreen: Run, suite: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"task_id": "add/1", "solution": RIGHT}] * 2)
    ended = regreen("verify", suite, "--samples", path, "-o", "/dev/full")
    assert ended.code == 3
    assert "can't write /dev/full: No space left on device" in ended.line
