"""The journal: what is written comes back, damage is noticed, a killed run goes on."""

from __future__ import annotations

import collections
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.journal import Journal, JournalError
from agent.search.registry import strategy_names

KILLS = 20
REPOSITORY = Path(__file__).resolve().parents[2]


def written(folder: Path, count: int = 3) -> Path:
    """A journal with some samples in it; its path."""
    journal = Journal(folder)
    for index in range(count):
        journal.append("sample", {"task": "T/1", "index": index, "text": f"text {index}"})
    journal.close()
    return journal.path


def test_records_come_back_in_order_and_by_key(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "run")
    data: list[tuple[str, dict[str, Any]]] = [
        ("asked", {"task": "T/1", "index": 0}),
        ("sample", {"task": "T/1", "index": 0, "n": 1.5, "none": None, "list": [1, {"a": True}]}),
        ("sample", {"task": "T/2", "index": 0, "text": ""}),
        ("note", {"free": "of a task"}),
    ]
    for kind, record in data:
        journal.append(kind, record)
    for journal_now in (journal, None):
        if journal_now is None:
            journal.close()
            journal.close()
            journal = Journal(tmp_path / "new" / "run")
        assert [(one["kind"], one["data"]) for one in journal] == data
        assert [one["n"] for one in journal] == [1, 2, 3, 4]
        assert journal.get("sample", "T/1", 0) == data[1][1]
        assert journal.get("sample", "T/1", 1) is None
        assert journal.get("sample", "T/3") is None
        assert journal.get("note", "") == {"free": "of a task"}
        assert sorted(journal.keys("sample")) == [("T/1", 0), ("T/2", 0)]
        assert journal.keys("verdict") == []
    journal.close()


def test_the_newest_record_of_a_key_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for value in range(3):
        journal.append("verdict", {"task": "T", "index": 4, "value": value})
    assert journal.get("verdict", "T", 4) == {"task": "T", "index": 4, "value": 2}
    journal.close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(json_values, max_size=4))
def test_any_value_survives(tmp_path: Path, values: list[Any]) -> None:
    folder = tmp_path / os.urandom(6).hex()
    journal = Journal(folder)
    for index, value in enumerate(values):
        journal.append("any", {"task": "T", "index": index, "value": value})
    journal.close()
    journal = Journal(folder)
    for index, value in enumerate(values):
        assert journal.get("any", "T", index) == {"task": "T", "index": index, "value": value}
    assert len(list(journal)) == len(values)
    journal.close()


@pytest.mark.parametrize(
    "text",
    [
        "grün 数 🎉",
        "\ud800 alone",
        "\ud83d\ude00 a pair in two",
        "\u2028\x85\r\n\0",
        "x" * 10_000_000,
    ],
    ids=["wide", "lone", "pair", "breaks", "10MB"],
)
def test_text_survives(tmp_path: Path, text: str) -> None:
    journal = Journal(tmp_path)
    journal.append("sample", {"task": text[:20], "index": 1, "text": text})
    journal.append("sample", {"task": "after", "index": 0})
    journal.close()
    journal = Journal(tmp_path)
    known = journal.get("sample", text[:20], 1)
    assert known is not None
    assert known["text"] == text
    assert journal.get("sample", "after") is not None
    journal.close()


def test_torn_last_line_is_cut_off_wherever_it_tears(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole").read_bytes()
    third = whole.rindex(b"\n", 0, -1) + 1
    steps = [*range(third + 1, len(whole), 17), len(whole) - 2, len(whole) - 1]
    for number, size in enumerate(steps):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(whole[:size])
        journal = Journal(folder)
        assert sorted(journal.keys("sample")) == [("T/1", 0), ("T/1", 1)]
        assert journal.path.read_bytes() == whole[:third]
        journal.append("sample", {"task": "T/1", "index": 2, "text": "text 2"})
        journal.close()
        assert (folder / "journal.jsonl").read_bytes() == whole


@pytest.mark.parametrize(
    "tail", [b"\0" * 4096, b"garbage\n", b'{"n": 4}\n', b"\xff\xfe", b"[" * 9999 + b"\n"]
)
def test_tail_that_is_no_record_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    journal = Journal(tmp_path)
    assert len(journal.keys("sample")) == 3
    journal.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", [1, 2, 4])
@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b"text", b"tExt"),
        lambda line: b"\0" * (len(line) - 1) + b"\n",
        lambda _line: b"",
        lambda line: line + line,
        lambda line: line[: len(line) // 2] + b"\n",
        lambda _line: b"\n",
    ],
    ids=["changed", "zeros", "missing", "twice", "torn", "blank"],
)
def test_damage_in_the_middle_is_one_error_with_the_line(
    tmp_path: Path, line: int, damage: Any
) -> None:
    path = written(tmp_path, 6)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = damage(lines[line - 1])
    content = b"".join(lines)
    path.write_bytes(content)
    for _ in range(2):  # the first try holds no lock on the second
        with pytest.raises(JournalError, match="damaged; start a new run") as caught:
            Journal(tmp_path)
        at = line + 1 if damage(b"ab\n") == b"ab\nab\n" else line
        assert str(caught.value).startswith(f"{path}, line {at}: ")
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_second_opener_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("sample", {"task": "T", "index": 0})
    with pytest.raises(JournalError, match="another process is writing this run"):
        Journal(tmp_path)
    code = (
        "import sys; from pathlib import Path; from agent.journal import Journal, JournalError\n"
        "try: Journal(Path(sys.argv[1]))\nexcept JournalError as error: sys.exit(str(error))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode == 1
    assert other.stderr == f"{journal.path}: another process is writing this run\n"
    journal.append("sample", {"task": "T", "index": 1})
    assert len(journal.keys("sample")) == 2
    journal.close()


def test_index_is_rebuilt_from_the_lines(tmp_path: Path) -> None:
    written(tmp_path)
    for content in (b"no database at all", None):
        if content is None:
            (tmp_path / "index.sqlite").unlink()
        else:
            (tmp_path / "index.sqlite").write_bytes(content)
        journal = Journal(tmp_path)
        assert len(journal.keys("sample")) == 3
        assert journal.get("sample", "T/1", 2) is not None
        journal.close()


def test_place_that_is_no_folder_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"file/journal.jsonl: "):
        Journal(tmp_path / "file")
    (tmp_path / "run" / "index.sqlite" / "odd").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(JournalError, match=r"index.sqlite can't be made"):
            Journal(tmp_path / "run")


def test_lost_are_calls_that_were_never_answered(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for index in range(5):
        journal.append("asked", {"task": "T", "index": index})
    journal.append("sample", {"task": "T", "index": 1})
    journal.append("refused", {"task": "T", "index": 3})
    journal.append("dropped", {"task": "T", "index": 4})
    journal.append("sample", {"task": "other", "index": 0})
    assert journal.lost() == [("T", 0), ("T", 2)]
    journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can't be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("size", [100, 5_000, 200_000])
def test_full_disk_is_one_error_and_what_was_received_is_kept(small_disk: Path, size: int) -> None:
    journal = Journal(small_disk / "run")
    count = itertools.count()

    def fill() -> None:
        while True:
            data = {"task": "T", "index": next(count), "text": "x" * size}
            journal.append("sample", data)

    with pytest.raises(JournalError, match=r"full|No space") as caught:
        fill()
    kept = next(count) - 1
    assert "go on with --resume" in str(caught.value)
    assert "\n" not in str(caught.value)
    journal.close()
    content = journal.path.read_bytes()
    assert content.count(b"\n") == kept
    assert content.endswith(b"\n") or not content
    (small_disk / "run" / "index.sqlite").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    journal = Journal(small_disk / "run")
    assert len(journal.keys("sample")) == kept
    journal.append("sample", {"task": "T", "index": kept, "text": "x" * size})
    journal.close()


def killed_run(folder: Path, kills: int, seed: int, strategy: str) -> dict[str, Any]:
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(kills), str(seed), strategy],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("strategy", sorted(set(strategy_names()) - {"greedy"}))
def test_run_that_is_killed_again_and_again_ends_as_one_that_is_not(
    tmp_path: Path, strategy: str
) -> None:
    kills = KILLS if strategy == "best-of-n" else KILLS // 4
    plain = killed_run(tmp_path / "plain", 0, 0, strategy)
    often = killed_run(tmp_path / "often", kills, 1, strategy)
    assert often["chosen"] == plain["chosen"]
    assert often["killed"] >= kills // 4
    journal = Journal(tmp_path / "often")
    kinds = [(one["kind"], one["data"]["task"], one["data"]["index"]) for one in journal]
    journal.close()
    received: set[tuple[str, int]] = set()
    for kind, task, index in kinds:
        if kind == "asked":
            assert (task, index) not in received, "what was received was asked for again"
        elif kind == "sample":
            received.add((task, index))
    counts = collections.Counter(kinds)
    assert max(counts[key] for key in counts if key[0] == "sample") == 1
    assert {
        (task, index) for task, (_, _, count) in plain["chosen"].items() for index in range(count)
    } <= received
