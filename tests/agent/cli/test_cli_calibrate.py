"""`regreen calibrate`: a profile, a table and a picture out of samples; no hidden test in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.routing.profile import read_profile
from tests.agent.cli.conftest import RIGHT, WRONG, Command

Bank = Callable[..., str]
EXAMPLE_ONLY = "def f(n):\n    return 2\n"


def suite(folder: Path, count: int = 4) -> Path:
    """Tasks whose visible test is f(1) == 2 and whose hidden one is f(8) == 9."""
    for number in range(count):
        task = folder / f"a{number}"
        (task / "hidden").mkdir(parents=True)
        (task / "task.toml").write_text('prompt = "def f(n):\\n    ...\\n"\n')
        (task / "test_v.py").write_text("from solution import f\nassert f(1) == 2\n")
        (task / "hidden" / "test_h.py").write_text("from solution import f\nassert f(8) == 9\n")
    return folder


def test_profile_curve_and_table(regreen: Command, tmp_path: Path, bank: Bank) -> None:
    programs = {"a0": [RIGHT] * 6, "a1": [WRONG] * 6, "a2": [WRONG, RIGHT] * 3, "a3": [RIGHT] * 6}
    ended = regreen(
        "calibrate", suite(tmp_path / "s"), "--model", bank(programs), "-n", "6",
        "--protocol", "given", "-o", tmp_path / "p.toml",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "4 tasks, 24 samples" in ended.out
    assert "best of 1" in ended.out
    assert "given up below" in ended.out
    profile = read_profile(tmp_path / "p.toml")
    assert profile.model.startswith("replay/")
    assert max(point.solved for point in profile.curve) == 0.75
    assert "<svg" in (tmp_path / "p.svg").read_text()
    used = regreen(
        "eval", tmp_path / "s", "--model", bank(programs), "-n", "6", "--protocol", "given",
        "--profile", tmp_path / "p.toml", "--json",
    )  # fmt: skip
    assert used.code == 0, used.err
    assert used.rows[-1]["solved"] == 3
    assert all(row["routes"][0]["reason"] for row in used.rows[:-1])


def test_free_edits_count_in_a_sample_and_go_with_the_profile(
    regreen: Command, tmp_path: Path, bank: Bank
) -> None:
    nearly = "def f(n):\n    return n + 1 if n > 1 else 0\n"
    folder = suite(tmp_path / "s", 3)
    for number in range(3):
        more = "assert f(2) == 3\nassert f(0) == 0\nassert f(3) == 4\n"
        test = folder / f"a{number}" / "test_v.py"
        test.write_text(test.read_text() + more)
    programs = {"a0": [WRONG, WRONG], "a1": [nearly, WRONG], "a2": [nearly, WRONG]}
    words = (folder, "--model", bank(programs), "-n", "2", "--protocol", "given")
    plain = regreen("calibrate", *words, "-o", tmp_path / "plain.toml")
    assert plain.code == 0, plain.err
    assert max(point.solved for point in read_profile(tmp_path / "plain.toml").curve) == 0
    ended = regreen("calibrate", *words, "--free-edits", "30", "-o", tmp_path / "p.toml")
    assert ended.code == 0, ended.err
    assert "mend 2 of them, and solve 2 tasks that no sample solves by itself" in ended.out
    profile = read_profile(tmp_path / "p.toml")
    assert profile.free_edits == 30
    assert max(point.solved for point in profile.curve) == pytest.approx(2 / 3, abs=1e-3)
    used = regreen("eval", *words, "--profile", tmp_path / "p.toml", "--json")
    assert used.code == 0, used.err
    assert used.rows[-1]["solved"] == 2
    assert [row["samples"] for row in used.rows[:-1]] == [2, 1, 1]
    other = regreen(
        "eval", *words, "--profile", tmp_path / "p.toml", "--json", "--strategy", "best-of-n"
    )
    assert other.rows[-1]["solved"] == 0


def test_hidden_tests_are_never_looked_at(regreen: Command, tmp_path: Path, bank: Bank) -> None:
    programs = {f"a{number}": [EXAMPLE_ONLY] * 3 for number in range(4)}
    ended = regreen(
        "calibrate", suite(tmp_path / "s"), "--model", bank(programs), "-n", "3", "--json",
        "-o", tmp_path / "p.json", "--protocol", "hidden",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    # what passes the example passes, whatever the hidden test would say of it
    assert {point["solved"] for point in ended.rows[0]["curve"]} == {1.0}
    (run,) = regreen.runs
    assert "== 9" not in (run / "journal.jsonl").read_text()


def test_a_calibration_resumes(regreen: Command, tmp_path: Path, bank: Bank) -> None:
    folder = suite(tmp_path / "s")
    words = (
        "calibrate",
        folder,
        "--model",
        bank({"a0": [RIGHT, WRONG]}),
        "-o",
        tmp_path / "p.toml",
    )
    first = regreen(*words, "-n", "1")
    assert first.code == 0, first.err
    assert "1 tasks, 1 samples" in first.out
    again = regreen(*words, "-n", "2", "--resume")
    assert "1 tasks, 2 samples" in again.out
    (run,) = regreen.runs
    rows = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert sum(row.get("kind") == "sample" for row in rows) == 2


def test_mistakes_are_one_line(regreen: Command, tmp_path: Path, bank: Bank) -> None:
    folder = suite(tmp_path / "s", 1)
    none = regreen("calibrate", folder, "--model", bank({"b": [RIGHT]}), "-o", tmp_path / "p.toml")
    assert none.code == 2
    assert "no sample was drawn of any task" in none.line
    for words, said in (
        (("--routing", "fast"), "known are full, production, latency"),
        (("--profile", "no.toml"), "profile no.toml: No such file"),
        (("--tier-samples", "1,2"), "tier_samples has 2 words"),
        (("--tier-strategies", "a,b,c,d"), "should be 'greedy', 'best-of-n' or 'thompson'"),
    ):
        ended = regreen("eval", folder, "--model", bank({"b": [RIGHT]}), *words)
        assert ended.code == 2, (words, ended.err)
        assert said in ended.line
