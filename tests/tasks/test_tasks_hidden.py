"""Hidden tests: not in what a search gets, not in memory, read when the score is taken."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from tasks import humaneval, load_suite, load_task
from tasks.model import AssertTests, PublicTask, Task, TaskError

SECRET = 987_654_321


def reachable_text(root: object) -> str:
    """All text that can be reached from an object without entering code or classes."""
    seen: set[int] = set()
    queue: list[Any] = [root]
    texts: list[str] = []
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, type | ModuleType | FunctionType):
            continue
        seen.add(id(item))
        if isinstance(item, str | bytes):
            texts.append(item if isinstance(item, str) else repr(item))
        queue.extend(gc.get_referents(item))
    return "\n".join(texts)


def row_task(folder: Path) -> Task:
    test = f"def check(candidate):\n    assert candidate(1) == {SECRET}\n"
    row = {"task_id": "a", "prompt": "def f(x):\n", "entry_point": "f", "test": test}
    path = folder / "rows.jsonl"
    path.write_text(json.dumps(row | {"canonical_solution": f"return {SECRET}"}) + "\n")
    return load_task(str(path))


def folder_task(folder: Path) -> Task:
    (folder / "hidden").mkdir()
    (folder / "task.toml").write_text('prompt = "def f(x):"\n')
    (folder / "test_a.py").write_text("assert f(2) == 3\n")
    (folder / "hidden" / "test_b.py").write_text(f"assert f(1) == {SECRET}\n")
    return load_task(str(folder))


@pytest.fixture(params=[row_task, folder_task], ids=["jsonl", "folder"])
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Task:
    made: Task = request.param(tmp_path)
    return made


def test_no_hidden_test_can_be_reached_before_the_score_is_taken(task: Task) -> None:
    assert task.has_hidden
    text = reachable_text(task)
    assert "def f(x)" in text
    assert str(SECRET) not in text
    assert str(SECRET) in repr(task.scoring())
    assert str(SECRET) not in reachable_text(task)


def test_public_task_has_no_place_for_hidden_tests(task: Task) -> None:
    assert not {field for field in PublicTask.model_fields if "hidden" in field}
    assert str(SECRET) not in task.public().model_dump_json()


def test_scoring_reads_the_source_again(task: Task, tmp_path: Path) -> None:
    for path in [*tmp_path.rglob("rows.jsonl"), *tmp_path.rglob("test_b.py")]:
        path.write_text(path.read_text().replace(str(SECRET), "42"))
    (tests,) = task.scoring()
    assert isinstance(tests, AssertTests)
    assert "== 42" in tests.source


def test_source_that_is_gone_is_an_error_of_one_line(task: Task, tmp_path: Path) -> None:
    for path in [*tmp_path.rglob("rows.jsonl"), *tmp_path.rglob("test_b.py")]:
        path.unlink()
    with pytest.raises(TaskError, match="no such"):
        task.scoring()


def test_row_that_moved_is_an_error(tmp_path: Path) -> None:
    task = row_task(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(TaskError, match="the file changed since loading"):
        task.scoring()


def test_humaneval_keeps_no_official_test_and_no_solution() -> None:
    text = reachable_text(humaneval.load())
    assert "def separate_paren_groups" in text
    assert "def check(" not in text
    assert "candidate(" not in text
    # A line of the canonical solution of HumanEval/1.
    assert "current_depth" not in text


def test_given_shows_all_tests_and_public_does_not(task: Task) -> None:
    assert str(SECRET) in task.given().model_dump_json()
    assert str(SECRET) not in task.public().model_dump_json()


def test_examples_hide_what_they_say_they_hide() -> None:
    for task in load_suite("examples"):
        if task.has_hidden:
            shown = task.public().model_dump_json()
            for tests in task.scoring():
                assert tests.model_dump_json() not in shown
