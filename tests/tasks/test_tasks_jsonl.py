"""Suites in JSON lines: both forms of rows, and one clear line for each mistake."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tasks import jsonl
from tasks.model import AssertTests, PytestTests, StdioTests, TaskError, UnknownTaskError

ROW: dict[str, Any] = {
    "task_id": "T/1",
    "prompt": 'def f(x):\n    """\n    >>> f(1)\n    2\n    """\n',
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(5) == 6\n",
}


def write(path: Path, *rows: Any) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_humaneval_row_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    extra = {"canonical_solution": "return x + 1", "language": "py", "description": "d"}
    suite = jsonl.load(write(tmp_path / name, "", ROW | extra, "", ROW | {"task_id": "T/2"}))
    assert suite.ids == ("T/1", "T/2")
    task = suite.get("T/1")
    (visible,) = task.public().visible
    assert isinstance(visible, AssertTests)
    assert visible.source == "assert f(1) == 2\n"
    assert task.public().language == "python"
    assert task.public().source == f"{tmp_path / name}:2"
    assert task.scoring() == (AssertTests(source=ROW["test"], function="check"),)
    assert task.has_hidden


def test_own_row_with_visible_and_hidden_tests(tmp_path: Path) -> None:
    row = {
        "id": "own",
        "prompt": "Write f.",
        "entry_point": "f",
        "tests": ["assert f(1) == 2", "from solution import f\ndef test_f():\n    assert f(2)"],
        "hidden": "assert f(9) == 10",
        "requirements": ["numpy>=2"],
        "limits": {"cpu_seconds": 1.5},
        "mutates": True,
        "start": "def f(x): return x",
    }
    task = jsonl.load(write(tmp_path / "a.jsonl", row)).get("own")
    public = task.public()
    assert [type(tests) for tests in public.visible] == [AssertTests, PytestTests]
    assert public.requirements == ("numpy>=2",)
    assert public.limits.cpu_seconds == 1.5
    assert public.mutates
    assert public.start == "def f(x): return x"
    (hidden,) = task.scoring()
    assert isinstance(hidden, AssertTests)
    assert hidden.source == "assert f(9) == 10"


def test_own_row_with_cases_is_a_program(tmp_path: Path) -> None:
    cases = {"cases": [{"name": "a", "stdin": "1", "stdout": "2"}]}
    row = {"id": "p", "prompt": "Add one.", "language": "bash", "tests": cases}
    public = jsonl.load(write(tmp_path / "a.jsonl", row)).get("p").public()
    assert public.entry_kind == "program"
    assert public.language == "bash"
    (tests,) = public.visible
    assert isinstance(tests, StdioTests)
    assert tests.cases[0].stdout == "2"


def test_class_in_the_prompt_makes_a_class_task(tmp_path: Path) -> None:
    row = {"id": "c", "prompt": "class C:\n    ...\n", "entry_point": "C", "tests": "assert C()"}
    assert jsonl.load(write(tmp_path / "a.jsonl", row)).get("c").public().entry_kind == "class"


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        (["{"], 1, "not JSON"),
        ([ROW, "nonsense"], 2, "not JSON"),
        (["[1]"], 1, "list, not an object"),
        (["1"], 1, "int, not an object"),
        ([ROW, ROW], 2, "id 'T/1' was used on line 1 already"),
        ([{"task_id": "a"}], 1, "prompt: missing"),
        ([{"prompt": "a"}], 1, "task_id: missing"),
        ([ROW | {"task_id": 3}], 1, "task_id: input should be a valid string (given: 3)"),
        ([ROW | {"test": "def ("}], 1, "not valid Python"),
        ([ROW | {"test": "x = 1"}], 1, "no test in it"),
        ([ROW | {"entry_point": ""}], 1, "no entry point"),
        ([ROW | {"entry_point": "a b"}], 1, "no Python name"),
        ([ROW | {"tests": "assert f(1)"}], 1, "both test and tests/hidden"),
        ([{"id": "a", "prompt": "Write f.", "entry_point": "f"}], 1, "no tests"),
        ([ROW | {"requirements": ["--pre"]}], 1, "requirement '--pre' is not a package"),
        ([ROW | {"requirements": ["a\n--pre"]}], 1, "is not a package"),
        (["[" * 100_000], 1, "not JSON"),
    ],
)
def test_mistake_is_one_line_with_its_place(
    tmp_path: Path, rows: list[Any], line: int, said: str
) -> None:
    path = write(tmp_path / "rows.jsonl", *rows)
    with pytest.raises(TaskError) as error:
        jsonl.load(path)
    message = str(error.value)
    assert message.startswith(f"{path}:{line}")
    assert said in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", b"", "empty"),
        ("a.jsonl", b"\n \n", "empty"),
        ("a.jsonl", b"\xff\xfe\x00", ":1: not UTF-8"),
        ("a.jsonl.gz", b"not gzip", "isn't whole gzip data"),
        ("a.jsonl.gz", gzip.compress(b"\n" * 500, mtime=0)[:-4], "isn't whole gzip data"),
    ],
    ids=["nothing", "blank", "binary", "not-gzip", "cut-gzip"],
)
def test_unreadable_file_is_said_in_one_line(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(TaskError) as error:
        jsonl.load(path)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file"):
        jsonl.load(tmp_path / "none.jsonl")


def test_unknown_id_names_count_and_neighbours(tmp_path: Path) -> None:
    rows = [ROW | {"task_id": f"T/{number}"} for number in range(1, 13)]
    suite = jsonl.load(write(tmp_path / "rows.jsonl", *rows))
    with pytest.raises(UnknownTaskError, match="no task 'T/13' among its 12 tasks; did you mean"):
        suite.get("T/13")
    with pytest.raises(UnknownTaskError, match="they run from T/1 to T/12"):
        suite.get("zzz")
    assert suite.get("7").id == "T/7"


def test_hidden_is_refused_where_examples_repeat_all_tests(tmp_path: Path) -> None:
    repeated = ROW | {"test": "def check(candidate):\n    assert candidate( 1 )==2\n"}
    suite = jsonl.load(write(tmp_path / "rows.jsonl", repeated))
    assert "repeat every one of its tests" in suite.get("T/1").hidden_refused
    assert not suite.get("T/1").has_hidden
    assert "1 of 1 tasks" in suite.hidden_refused


@pytest.mark.parametrize(
    "test",
    [
        "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 3\n",
        "def check(candidate):\n    for x in range(9):\n        assert candidate(x) == x + 1\n",
    ],
)
def test_hidden_stands_where_one_test_is_new(tmp_path: Path, test: str) -> None:
    prompt = 'def f(x):\n    """f(x) is x + 1\n    >>> f(1)\n    2\n    """\n'
    row = ROW | {"test": test, "prompt": prompt}
    task = jsonl.load(write(tmp_path / "rows.jsonl", row)).get("T/1")
    assert task.hidden_refused == ""
    assert task.has_hidden
