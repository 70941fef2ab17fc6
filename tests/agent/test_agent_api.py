"""The Python interface: light to import, synchronous and asynchronous, and its errors are plain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import agent
from agent import asolve, evaluate, events, solve
from agent.evaluation import ProtocolError
from agent.journal import Journal
from agent.llm.base import ModelConfigError
from agent.run import RunError
from agent.search.options import StrategyOptionError
from agent.settings import SettingsError
from agent.solving import NoTestsError
from tasks import PublicTask, Task
from tasks.model import AssertTests, Protocol

REPOSITORY = Path(__file__).resolve().parents[2]
RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return None\n"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, runs or verdicts of the machine's user."""
    for name in list(os.environ):
        if name.startswith("REGREEN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("REGREEN_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks, the second with a hidden test."""
    for name in ("one", "two"):
        task = tmp_path / "suite" / name
        task.mkdir(parents=True)
        (task / "task.toml").write_text('prompt = "def f(x):\\n    ..."\n')
        (task / "test_f.py").write_text("from solution import f\nassert f(1) == 2\n")
    (task / "hidden").mkdir()
    (task / "hidden" / "test_more.py").write_text("from solution import f\nassert f(5) == 6\n")
    return tmp_path / "suite"


def bank(folder: Path, programs: dict[str, list[str]]) -> dict[str, Any]:
    """Settings by which a bank answers, in the embedded sandbox."""
    path = folder / "bank.jsonl"
    rows = [{"task_id": name, "solution": one} for name, many in programs.items() for one in many]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"model": f"replay/{path}", "sandbox": "local"}


def test_importing_agent_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import agent\n"
        "assert callable(dir) and agent.__all__\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)))\n"
        "print(sorted(name for name in sys.modules if name.startswith('agent')))\n"
        "from agent import solve, asolve, evaluate, aevaluate, Settings, Solution\n"
        "print(callable(solve), 'docker' in sys.modules, 'openai' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['agent']", "['agent']", "True False False"]


def test_every_name_is_there_and_others_are_not() -> None:
    for name in agent.__all__:
        assert getattr(agent, name) is not None
    with pytest.raises(AttributeError, match="module 'agent' has no attribute 'solv'"):
        _ = agent.solv


def test_solve_finds_and_proves_a_program(folder: Path, tmp_path: Path) -> None:
    seen: list[events.Event] = []
    settings = bank(tmp_path, {"two": [WRONG, "def f(x):\n    return 2\n", RIGHT]})
    solution = solve(folder / "two", listener=seen.append, **settings)
    assert solution.solved
    assert solution.program == RIGHT  # all tests are part of the request
    assert solution.verdict is not None
    assert solution.verdict.passed
    assert (solution.stopped, solution.cost) == ("verified", 0)
    assert solution.isolation.startswith("local/")
    assert isinstance(seen[0], events.TaskStarted)
    assert isinstance(seen[-1], events.TaskFinished)
    assert agent.Solution is type(solution)


@pytest.mark.anyio
async def test_asolve_takes_a_task(tmp_path: Path) -> None:
    public = PublicTask(
        id="mine",
        prompt="def f(x): ...",
        entry_point="f",
        visible=(AssertTests(source="assert f(1) == 2"),),
    )
    settings = bank(tmp_path, {"mine": [WRONG]})
    solution = await asolve(Task(public), **settings)
    assert not solution.solved
    assert solution.stopped == "bank"
    assert (solution.samples, solution.program) == (1, WRONG)


def test_evaluate_reports(folder: Path, tmp_path: Path) -> None:
    settings = bank(tmp_path, {"one": [WRONG, RIGHT], "two": ["def f(x):\n    return 2\n"]})
    settings["confirm"] = False
    report = evaluate(folder, n=2, **settings)
    assert report.protocol is Protocol.HIDDEN
    assert (report.tasks, report.solved, report.visible_passed) == (2, 1, 1.0)
    assert (tmp_path / "runs" / report.run / "report.json").is_file()
    given = evaluate(folder, protocol="given", task_ids=["two"], n=2, **settings)
    assert (given.tasks, given.solved, given.visible_passed) == (1, 0, 0.0)
    assert evaluate(folder, limit=1, **settings).tasks == 1


def test_mistakes_are_plain_errors(folder: Path, tmp_path: Path) -> None:
    settings = bank(tmp_path, {"one": [RIGHT]})
    with pytest.raises(SettingsError, match="n"):
        solve(folder / "one", **settings, n=0)
    with pytest.raises(ModelConfigError, match="there is no file"):
        solve(folder / "one", model="replay/nowhere.jsonl", sandbox="local")
    with pytest.raises(NoTestsError, match="bare has no tests"):
        solve(Task(PublicTask(id="bare", prompt="def f(x):", entry_point="f")), **settings)
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(ModelConfigError, match="line 1"):
        solve(folder / "one", model=f"replay/{tmp_path}/bad.jsonl", sandbox="local")
    with pytest.raises(ModelConfigError, match="line 1"):
        evaluate(folder, model=f"replay/{tmp_path}/bad.jsonl", sandbox="local")
    with pytest.raises(ProtocolError, match="unknown protocol 'hiden': give given or hidden"):
        evaluate(folder, protocol="hiden", **settings)
    with pytest.raises(ProtocolError, match="no hidden tests"):
        evaluate(folder, protocol="hidden", task_ids=["one"], **settings)


def test_evaluation_that_was_killed_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    slow = "import time\ntime.sleep(0.15)\n" + WRONG
    programs = {
        name: [f"{slow}# {name}{number}\n" for number in range(3)] + [RIGHT]
        for name in ("one", "two")
    }
    settings = bank(tmp_path, programs) | {
        "n": 4,
        "slots": 1,
        "confirm": False,
        "protocol": "given",
    }
    plain = evaluate(folder, **settings, cache=False)
    known = set((tmp_path / "runs").iterdir())
    code = "import json, sys; from agent import evaluate; evaluate(**json.loads(sys.argv[1]))"
    child = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps({"suite": str(folder), **settings})],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "REGREEN_CACHE": "false"},
    )
    kept = 0
    late = time.monotonic() + 120
    while time.monotonic() < late:
        time.sleep(0.02)
        for run in set((tmp_path / "runs").iterdir()) - known:
            journal = run / "journal.jsonl"
            text = journal.read_text() if journal.is_file() else ""
            kept = text.count('"kind": "verdict"')
        if kept >= 2:
            break
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    report = evaluate(folder, resume="last", **settings, cache=False)
    assert run.name == report.run
    assert report.replayed >= kept >= 2
    same = {"samples", "right_samples", "program", "visible_passed", "right", "stopped", "outcome"}
    assert [s.model_dump(include=same) for s in report.scores] == [
        s.model_dump(include=same) for s in plain.scores
    ]
    assert report.solved == 2
    journal_now = Journal(run)
    received = [one["data"] for one in journal_now if one["kind"] == "sample"]
    journal_now.close()
    assert len({(one["task"], one["index"]) for one in received}) == len(received) == 8


def test_strategies_with_options_of_their_own(folder: Path) -> None:
    almost = "def f(x):\n    return x + 1 if x == 1 else 0\n"
    settings = bank(folder, {"two": [WRONG, WRONG, almost, RIGHT, RIGHT, RIGHT]})
    kinds: list[str] = []

    def note(event: events.Event) -> None:
        if isinstance(event, events.VerdictReached):
            kinds.append(event.kind)

    solution = solve(
        folder / "two",
        strategy="beam",
        strategy_options={"width": 1, "expand": 3},
        n=6,
        listener=note,
        **settings,
    )
    assert solution.solved
    assert kinds == ["sample", "sample", "sample", "repair"]
    assert solution.duplicates == 1
    assert 4 <= solution.samples <= 6  # siblings of the winner may have been drawn already
    with pytest.raises(StrategyOptionError, match="no option 'height'"):
        solve(folder / "two", strategy="beam", strategy_options={"height": 1}, **settings)


def test_a_run_with_other_options_is_another_run(folder: Path) -> None:
    settings = bank(folder, {"one": [WRONG] * 9, "two": [WRONG] * 9}) | {"strategy": "beam"}
    first = evaluate(folder, strategy_options={"width": 1}, **settings)
    again = evaluate(folder, strategy_options={"width": 1}, resume=first.run, **settings)
    assert again.replayed > 0
    with pytest.raises(RunError, match="strategy_options differ"):
        evaluate(folder, strategy_options={"width": 2}, resume=first.run, **settings)


def test_pass_at_k_is_for_independent_samples_only(folder: Path) -> None:
    settings = bank(folder, {"one": [WRONG] * 9, "two": [WRONG, RIGHT] * 4})
    fresh = evaluate(folder, n=8, exhaustive=True, **settings)
    assert "8" in fresh.pass_at_k
    assert fresh.duplicates == 7 + 6
    repaired = evaluate(folder, n=8, exhaustive=True, strategy="beam", **settings)
    assert repaired.pass_at_k == {}
