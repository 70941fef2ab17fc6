"""MBPP in HumanEval's form: every row loads, and none pretends to have hidden tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import jsonl
from tasks.model import AssertTests


def test_all_rows_load_and_refuse_hidden_tests(benchmark_data: Path) -> None:
    path = benchmark_data / "mbpp_1_500.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    suite = jsonl.load(path)
    assert len(suite) == 500
    assert [task.id for task in suite if not task.hidden_refused or task.has_hidden] == []
    assert suite.hidden_refused.endswith("use protocol given")
    assert suite.get("MBPP/1").given().visible == suite.get("MBPP/1").scoring()


@pytest.mark.parametrize("task_id", ["MBPP/56", "MBPP/349"])
def test_entry_point_called_check(benchmark_data: Path, task_id: str) -> None:
    path = benchmark_data / "mbpp_1_500.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    task = jsonl.load(path).get(task_id)
    (official,) = task.given().visible
    (examples,) = task.public().visible
    assert isinstance(official, AssertTests)
    assert isinstance(examples, AssertTests)
    assert task.public().entry_point == official.function == "check"
    assert "candidate(" in official.source
    assert examples.source.startswith("assert check(")
