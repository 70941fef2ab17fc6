"""`regreen train-reward`: from the journal of a run to a model that another run ranks by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.reward.model import read_reward
from agent.reward.signs import SIGNS
from tests.agent.cli.conftest import RIGHT, Command

Bank = Callable[..., str]

TASKS = 8
GOOD = "def f(n):\n    return n + {k}\n"
RAISES = "def f(n):\n    return {{1: 1 + {k}}}[n]\n"


def suite(path: Path) -> Path:
    """Tasks with two visible tests and a hidden one: `f` of task K adds K."""
    for k in range(TASKS):
        task = path / f"a{k}"
        (task / "hidden").mkdir(parents=True)
        (task / "task.toml").write_text('prompt = "def f(n: int) -> int:\\n    ...\\n"\n')
        (task / "test_v.py").write_text(
            f"from solution import f\nassert f(1) == {1 + k}\nassert f(7) == {7 + k}\n"
        )
        (task / "hidden" / "test_h.py").write_text(
            f"from solution import f\nassert f(86420975) == {86420975 + k}\n"
        )
    return path


def programs() -> dict[str, list[str]]:
    texts = (GOOD, RAISES, GOOD)
    return {f"a{k}": [text.format(k=k) for text in texts] for k in range(TASKS)}


def test_a_model_is_trained_from_a_journal_and_used(
    regreen: Command, tmp_path: Path, bank: Bank
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra learn")
    tasks, model = suite(tmp_path / "s"), bank(programs())
    words = ("eval", tasks, "--model", model, "-n", "3", "--protocol", "hidden", "--json")
    ran = regreen(*words, "--strategy", "agreement", "--exhaustive", timeout=280)
    assert ran.code == 0, ran.err
    (run,) = regreen.runs
    before = (run / "journal.jsonl").read_bytes()
    assert b"86420975" not in before  # no hidden test, so that none can be learned from
    file = tmp_path / "reward.json"
    trained = regreen("train-reward", run.name, "-o", file, timeout=280)
    assert trained.code == 0, trained.err
    assert f"{TASKS} tasks with tests to hold out, {3 * TASKS} programs of replay/" in trained.out
    assert (run / "journal.jsonl").read_bytes() == before
    learned = read_reward(file, SIGNS).training
    assert learned.runs == (run.name,)
    assert learned.suites == (str(tasks),)
    assert learned.auc > 0.9  # an exception on a probe gives them away, or the smaller group
    used = regreen(*words, "--reward-model", file, timeout=280)
    assert used.code == 0, used.err
    assert used.rows[-1]["solved"] == TASKS
    other = regreen(*words, "--resume", run.name, "--reward-model", file, timeout=280)
    assert "reward_model" in other.line  # another run: it may draw other samples


def test_mistakes(regreen: Command, tmp_path: Path, bank: Bank, add_one: Path) -> None:
    file = tmp_path / "m.json"
    missing = regreen("train-reward", "20200101-000000-aaaaaa", "-o", file)
    assert missing.code == 2
    assert "no run in" in missing.line
    file.write_text(json.dumps({"format": "something"}))
    unread = regreen("solve", add_one, "--model", bank({}), "--reward-model", file)
    assert unread.code == 2
    assert "no reward model" in unread.line
    assert not regreen.runs
    one = regreen(
        "solve", add_one, "--model", bank({"add_one": [RIGHT]}), "--strategy", "agreement"
    )
    assert one.code == 0, one.err
    little = regreen("train-reward", regreen.runs[0], "-o", file)
    assert little.code == 2
    assert little.line.startswith(("regreen: too little", "regreen: nothing to learn from"))


def test_only_what_lets_programs_vote_takes_a_model(
    regreen: Command, tmp_path: Path, add_one: Path
) -> None:
    file = tmp_path / "m.json"
    model = {
        "format": "regreen reward model",
        "version": 1,
        "signs": SIGNS,
        "model": {"kind": "linear", "bias": 0.0, "weights": [0.0] * len(SIGNS)},
    }
    file.write_text(json.dumps(model))
    refused = regreen("solve", add_one, "--strategy", "beam", "--reward-model", file)
    assert refused.code == 2
    assert "strategy beam takes no learned reward" in refused.line
