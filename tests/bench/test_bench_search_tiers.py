"""Cascades and early stops in the search benchmark, on a few recorded programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import search
from tasks import load_suite

WRONG = "def {name}(*args):\n    return None\n"
RIGHT = {
    "HumanEval/23": "def strlen(string):\n    return len(string)\n",
    "HumanEval/53": "def add(x, y):\n    return x + y\n",
    "HumanEval/27": "def flip_case(string):\n    return string.swapcase()\n",
}


def found(argv: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert search.main([*argv, "--json", "--sandbox", "local"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path / "cache"))


def test_cascades_in_every_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {task.id: task.public().entry_point for task in load_suite("humaneval")}
    path = tmp_path / "models.jsonl"
    rows = [
        {
            "task_id": task,
            "model": model,
            "solution": right if number < known else WRONG.format(name=names[task]),
        }
        for model, known in (("cheap", 1), ("better", 2))
        for number, (task, right) in enumerate(RIGHT.items())
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = found(["--sections", "cascade", "--models", str(path)], capsys)["cascade"]
    assert section["tasks"] == 3
    by_order = {tuple(row["order"]): row for row in section["rows"]}
    assert {order: row["solved"] for order, row in by_order.items()} == {
        ("cheap",): 1,
        ("better",): 2,
        ("cheap", "better"): 2,
        ("better", "cheap"): 2,
    }
    row = by_order["cheap", "better"]
    assert row["calls"] == pytest.approx([1, 2 / 3])
    saved = by_order["better",]["tokens"][0] - row["tokens"][1]
    assert row["break_even"] == pytest.approx(saved / row["tokens"][0])
    assert 0 < row["break_even"] < 0.5
    assert row["dollars"] is None


def test_early_stops_on_a_bank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import gzip

    path = tmp_path / "bank.jsonl.gz"
    body = "    return len(string)\n"
    broken = "    return (len(string]\n" + "    # and so on, and so forth\n" * 9
    row = {"task_id": "HumanEval/23", "samples": [body, broken]}
    with gzip.open(path, "wt") as file:
        file.write(json.dumps(row) + "\n")
    section = found(["--sections", "early", "--bank", str(path)], capsys)["early"]
    for one in section:
        assert (one["samples"], one["stopped"], one["passing"]) == (2, {"syntax": 1}, 0)
        assert 0.3 < one["saved"] < 0.9


def test_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert search.main(["--sections", "cascade"]) == 2
    assert "--models FILE" in capsys.readouterr().err
    for words in (["--sections", "luck"], ["--sections", "cascade", "--price", "x=1"]):
        with pytest.raises(SystemExit):
            search.main(words)
