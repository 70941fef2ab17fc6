"""`regreen eval`: the numbers, and going on with a run that was killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.drawing import sample_seed

Run = Any
TASKS = [f"add/{k}" for k in range(1, 7)]
KEYS = {
    "tasks",
    "solved",
    "protocol",
    "pass_at_1",
    "pass_at_k",
    "oracle",
    "mean_samples",
    "tokens_in",
    "tokens_out",
    "cost",
    "seconds",
    "run",
}
N = 6
INDEX_BY_SEED = {sample_seed(0, task, index): (task, index) for task in TASKS for index in range(N)}


def right_from(k: int) -> int:
    """The index of the first sample that is right for task K; for task 5 none is."""
    return 99 if k == 5 else k % 3 + 1


def answers(say: Callable[[str], Any]) -> Callable[[dict[str, Any]], Any]:
    """Answers that depend on the sample's seed alone, as those of a real server would."""

    def answer(request: dict[str, Any]) -> Any:
        task, index = INDEX_BY_SEED[request["seed"]]
        k = int(task.removeprefix("add/"))
        added = k if index >= right_from(k) else k + 100 + index
        return say(f"```python\ndef f(n):\n    return n + {added}\n```\n")

    return answer


def chosen(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def recorded(folder: Path) -> set[tuple[str, int]]:
    """The samples in a journal, torn last line and all."""
    found = set()
    for line in (folder / "journal.jsonl").read_bytes().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["kind"] == "sample":
            found.add((record["data"]["task"], record["data"]["index"]))
    return found


def test_json_ends_with_the_figures(regreen: Run, suite: Path, bank: Callable[..., str]) -> None:
    programs = {task: ["def f(n):\n    return n + 1\n"] * 2 for task in TASKS}
    ended = regreen("eval", suite, "-m", bank(programs), "--json", "-q", "-n", "2", "--exhaustive")
    assert (ended.code, ended.err) == (0, "")
    *scores, report = ended.rows
    assert {score["task_id"] for score in scores} == set(TASKS)
    assert set(report) >= KEYS
    assert (report["tasks"], report["solved"], report["protocol"]) == (6, 1, "given")
    assert report["pass_at_1"] == pytest.approx(1 / 6)
    assert report["pass_at_k"] == pytest.approx({"1": 1 / 6, "2": 1 / 6})
    assert report["mean_samples"] == 2
    assert report["cost"] == 0
    run = regreen.runs[0]
    assert report["run"] == run.name
    assert [row["task_id"] for row in chosen(run)] == TASKS
    assert json.loads((run / "report.json").read_text())["solved"] == 1
    assert json.loads((run / "manifest.json").read_text())["settings"]["n"] == 2


def test_figures_for_people(regreen: Run, suite: Path, bank: Callable[..., str]) -> None:
    programs = {task: ["def f(n):\n    return n + 1\n"] for task in TASKS}
    ended = regreen("eval", suite, "-m", bank(programs), "-q", "--limit", "2", "-n", "1")
    assert ended.code == 0
    assert ended.out.startswith("1 of 2 tasks solved (protocol given: all tests were part of the")
    ended = regreen("eval", suite, "-m", bank(programs), "-q", "--task-id", "1", "--task-id", "1")
    assert ended.out.startswith("1 of 1 tasks solved")


def test_a_protocol_that_makes_no_sense(regreen: Run, add_one: Path, right_bank: str) -> None:
    ended = regreen("eval", add_one, "-m", right_bank, "--protocol", "hidden")
    assert ended.code == 2
    assert "there are no hidden tests; use --protocol given" in ended.line
    assert regreen.runs == []


def test_a_killed_run_goes_on_and_pays_for_nothing_twice(
    regreen: Run, suite: Path, server: Any, say: Callable[[str], Any]
) -> None:
    server.answer = answers(say)
    words = ("eval", suite, *server.words, "-q", "-n", N, "--json")
    whole = regreen(*words)
    assert whole.code == 0, whole.err
    reference = chosen(regreen.runs[0])
    asked_in_all = len(server.requests)

    server.requests.clear()
    server.delay, server.answered = 0.25, 0
    process = regreen.start(*words)
    deadline = time.monotonic() + 60
    while server.answered < 7 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    regreen.end(process)
    killed = regreen.runs[-1]
    kept = recorded(killed)
    assert kept
    assert not (killed / "report.json").exists()

    server.requests.clear()
    server.delay = 0.0
    ended = regreen(*words, "--resume")
    assert ended.code == 0, ended.err
    again = {INDEX_BY_SEED[request["seed"]] for request in server.requests}
    assert again
    assert not again & kept
    assert len(regreen.runs) == 2
    assert chosen(killed) == reference
    report = ended.rows[-1]
    assert report["replayed"] == len(kept)
    assert report["solved"] == whole.rows[-1]["solved"] == 5
    # what was under way when it was killed has to be asked for again, and nothing else
    assert len(kept) + len(again) == asked_in_all

    server.requests.clear()
    ended = regreen(*words, "--resume", killed.name)
    assert ended.code == 0
    assert server.requests == []
    assert chosen(killed) == reference


def test_only_a_run_of_the_same_kind_is_resumed(
    regreen: Run, suite: Path, bank: Callable[..., str]
) -> None:
    model = bank({"add/1": ["def f(n):\n    return n + 1\n"]})
    words = ("eval", suite, "-m", model, "-q", "--limit", "1")
    ended = regreen(*words, "--resume")
    assert ended.code == 2
    assert "no run of the same kind to resume" in ended.line
    assert regreen(*words).code == 0
    (run,) = regreen.runs
    ended = regreen(*words, "--seed", "5", "--resume", run.name)
    assert ended.code == 2
    assert f"run {run.name} was another one: seed differ" in ended.line
    ended = regreen(*words, "--resume", run)
    assert ended.code == 0


def test_a_reader_that_goes_away_is_no_fault(
    regreen: Run, suite: Path, bank: Callable[..., str]
) -> None:
    process = regreen.start("eval", suite, "-m", bank({"add/1": ["x"]}), "--json", "-q")
    process.stdout.close()
    process.stdout = None
    ended = regreen.end(process)
    assert ended.code == 3
    assert ended.err == ""
