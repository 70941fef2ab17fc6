"""`regreen solve`: what goes in, and where the program comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Any
RIGHT = "def f(n):\n    return n + 1\n"


def test_the_program_stands_alone_on_stdout(regreen: Run, add_one: Path, right_bank: str) -> None:
    ended = regreen("solve", add_one, "-m", right_bank)
    assert ended.code == 0, ended.err
    assert ended.out == RIGHT
    assert "add_one: verified, 2 of 2 tests passed" in ended.err
    assert "isolation local/" in ended.err


def test_what_is_not_verified_is_given_and_said(
    regreen: Run, add_one: Path, bank: Callable[..., str]
) -> None:
    close = "def f(n):\n    return 2\n"
    ended = regreen("solve", add_one, "-m", bank({"add_one": [close]}))
    assert ended.code == 1
    assert ended.out == close
    assert "not verified, 1 of 2 tests passed" in ended.err
    assert "✗ test_nine" in ended.err


def test_json_tells_all(regreen: Run, add_one: Path, right_bank: str) -> None:
    ended = regreen("solve", add_one / "task.toml", "-m", right_bank, "--json", "-q")
    (solution,) = ended.rows
    assert (ended.code, ended.err) == (0, "")
    assert solution["solved"] is True
    assert solution["program"] == RIGHT
    assert solution["verdict"]["outcome"] == "passed"
    assert solution["samples"] == 2
    assert solution["run"] == regreen.runs[0].name


def test_output_goes_into_a_file(regreen: Run, add_one: Path, right_bank: str) -> None:
    ended = regreen("solve", add_one, "-m", right_bank, "-o", "new/deep/program.py", "-q")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert (regreen.folder / "new/deep/program.py").read_text() == RIGHT


def test_a_stub_with_its_tests(regreen: Run, tmp_path: Path, bank: Callable[..., str]) -> None:
    (tmp_path / "plus.py").write_text('def f(n: int) -> int:\n    """Add one."""\n')
    (tmp_path / "elsewhere.py").write_text(
        "from plus import f\n\n\ndef test_it():\n    assert f(4) == 5\n"
    )
    model = bank({"plus": [RIGHT]})
    ended = regreen("solve", "plus.py", "--tests", "elsewhere.py", "-m", model, "-q")
    assert (ended.code, ended.out) == (0, RIGHT)
    ended = regreen("solve", "plus.py", "-m", model)
    assert ended.code == 2
    assert "no tests for f; give --tests FILE" in ended.line


def test_one_task_of_a_suite(regreen: Run, suite: Path, bank: Callable[..., str]) -> None:
    model = bank({"add/3": ["def f(n):\n    return n + 3\n"]})
    ended = regreen("solve", f"{suite}#add/3", "-m", model, "-q")
    assert (ended.code, ended.out) == (0, "def f(n):\n    return n + 3\n")


def test_several_tasks_in_one_session(
    regreen: Run, add_one: Path, suite: Path, bank: Callable[..., str]
) -> None:
    model = bank({"add_one": [RIGHT], "add/2": ["def f(n):\n    return n + 2\n"]})
    words = ("solve", add_one, f"{suite}#add/2", "-m", model)
    ended = regreen(*words)
    assert ended.code == 0
    assert ended.out.startswith("# add_one: verified\ndef f(n):\n    return n + 1\n")
    assert "# add/2: verified\n" in ended.out
    assert "2 of 2 tasks verified" in ended.err
    assert ended.err.count("sandbox local/") == 1
    assert len(regreen.runs) == 1
    ended = regreen(*words, f"{suite}#add/4", "-q", "--json")
    assert ended.code == 1
    assert [row["task_id"] for row in ended.rows] == ["add_one", "add/2", "add/4"]
    ended = regreen(*words, "-q", "-o", "programs")
    assert (ended.code, ended.out) == (0, "")
    written = {path.name for path in (regreen.folder / "programs").iterdir()}
    assert written == {"add_one.py", "add_2.py"}


def test_several_tasks_do_not_share_a_file(
    regreen: Run, add_one: Path, suite: Path, right_bank: str
) -> None:
    (regreen.folder / "one.py").write_text("mine\n")
    ended = regreen("solve", add_one, f"{suite}#add/2", "-m", right_bank, "-o", "one.py")
    assert ended.code == 2
    assert "--output one.py is no folder" in ended.line
    assert (regreen.folder / "one.py").read_text() == "mine\n"


def test_no_colour_where_none_is_wanted(regreen: Run, add_one: Path, right_bank: str) -> None:
    ended = regreen(
        "solve", add_one, "-m", right_bank, env={"NO_COLOR": "1", "TERM": "xterm-256color"}
    )
    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err


def test_texts_of_strangers_cannot_steer_the_terminal(
    regreen: Run, add_one: Path, bank: Callable[..., str]
) -> None:
    program = "def f(n):\n    raise ValueError('\\x1b[2J\\x07' + chr(27) + ']0;gotcha')\n"
    ended = regreen("solve", add_one, "-m", bank({"add_one": [program]}))
    assert ended.code == 1
    assert "\x1b" not in ended.err
    assert "\x07" not in ended.err


def test_a_program_that_is_no_valid_unicode_survives(
    regreen: Run, add_one: Path, tmp_path: Path
) -> None:
    text = 'def f(n):\n    "\\ud800"\n    return n + 1\n'
    row = f'{{"task_id": "add_one", "solution": {json.dumps(text)[:-1]}# \\ud800\\n"}}\n'
    (tmp_path / "odd.jsonl").write_text(row)
    ended = regreen("solve", add_one, "-m", "replay/odd.jsonl", env={"LC_ALL": "C"})
    assert "Traceback" not in ended.err
    assert ended.code in (0, 1)
    assert ended.out.startswith("def f(n):")


def test_the_budget_is_told_apart(regreen: Run, add_one: Path, bank: Callable[..., str]) -> None:
    model = bank({"add_one": ["def f(n):\n    return 0\n"] * 5})
    ended = regreen("solve", add_one, "-m", model, "--budget-samples", "2")
    assert ended.code == 4
    assert "budget exhausted: the budget of 2 samples is used up" in ended.err


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_in_containers(regreen: Run, add_one: Path, right_bank: str) -> None:
    ended = regreen("solve", add_one, "-m", right_bank, "--sandbox", "docker")
    assert ended.code == 0, ended.err
    assert ended.out == RIGHT
    assert "isolation docker/slot" in ended.err
