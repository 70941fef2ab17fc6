"""Two-stage trust: what passed in a warm slot is judged again, elsewhere, before it is believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import solve
from agent.incidents import Incident
from sandbox.docker import connect

Run = Any
RIGHT = "def f(n):\n    return n + 1\n"
WRONG = "def f(n):\n    return n + 2\n"


@pytest.fixture(scope="session")
def fickle() -> str:
    """Right under hash seed 0, which warm slots run with, and wrong under any other."""
    known = subprocess.run(
        [sys.executable, "-c", "print(hash('x'))"],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return f"def f(n):\n    return n + 1 if hash('x') == {known} else n\n"


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend that this machine has."""
    if request.param == "docker":
        request.getfixturevalue("engine")
    return str(request.param)


@pytest.fixture
def engine_default() -> str:
    """The runtime that the engine uses unless told otherwise, by its name."""
    client = connect()
    try:
        return str(client.info()["DefaultRuntime"])
    finally:
        client.close()


def read(data: dict[str, Any], backend: str) -> Incident:
    """The one incident in a result, whole and of two verdicts."""
    (found,) = data["incidents"]
    incident = Incident.model_validate(found)
    assert incident.first.outcome == "passed"
    assert incident.second.outcome == "failed"
    assert incident.first_level.startswith(f"{backend}/")
    assert incident.second_level.startswith(f"{backend}/")
    if backend == "docker":
        assert (incident.first_level, incident.second_level) == ("docker/slot", "docker/container")
    return incident


def test_solve_goes_on_after_an_incident(
    regreen: Run, add_one: Path, bank: Callable[..., str], fickle: str, backend: str
) -> None:
    model = bank({"add_one": [fickle, RIGHT]})
    words = ("solve", add_one, "-m", model, "--sandbox", backend, "--json")
    ended = regreen(*words, "--concurrency", "1")
    assert ended.code == 0, ended.err
    (row,) = ended.rows
    assert (row["solved"], row["program"], row["samples"]) == (True, RIGHT, 2)
    assert row["confirmed"].startswith(f"{backend}/")
    incident = read(row, backend)
    assert (incident.task_id, incident.index) == ("add_one", 0)
    line = f"incident in add_one: sample 0 passed in {incident.first_level} (2 of 2 tests) and "
    assert f"{line}ended as failed in a fresh {incident.second_level} (0 of 2 tests): " in ended.err
    records = (regreen.runs[0] / "journal.jsonl").read_text().splitlines()
    kept = [one["data"] for one in map(json.loads, records) if one["kind"] == "incident"]
    assert [Incident.model_validate(one["incident"]) for one in kept] == [incident]


def test_solve_returns_no_program_that_was_refuted(
    regreen: Run, add_one: Path, bank: Callable[..., str], fickle: str, tmp_path: Path
) -> None:
    model = bank({"add_one": [fickle]})
    ended = regreen("solve", add_one, "-m", model, "-o", "solved.py")
    assert (ended.code, ended.out) == (1, "")
    assert "add_one: not verified, nothing stood up to a second verdict" in ended.err
    assert not (tmp_path / "solved.py").exists()
    ended = regreen("solve", add_one, "-m", model, "--no-confirm")
    assert (ended.code, ended.out) == (0, fickle)  # which is what the second verdict is for


def test_python_is_given_both_verdicts(
    add_one: Path, bank: Callable[..., str], fickle: str, backend: str
) -> None:
    seen: list[Any] = []
    model = bank({"add_one": [fickle, WRONG]})
    solution = solve(add_one, model=model, sandbox=backend, listener=seen.append, cache=False)
    assert not solution.solved
    assert solution.program == WRONG
    read(solution.model_dump(mode="json"), backend)
    assert [event for event in seen if isinstance(event, Incident)] == list(solution.incidents)


def test_eval_reports_incidents_and_a_resumed_one_the_same(
    regreen: Run, suite: Path, bank: Callable[..., str], fickle: str, backend: str
) -> None:
    model = bank({"add/1": [fickle], "add/2": [WRONG]})
    words = ("eval", suite, "-m", model, "--sandbox", backend, "--limit", "2", "--json")
    first = regreen(*words)
    assert first.code == 0, first.err
    row, _, summary = sorted(first.rows, key=lambda one: str(one.get("task_id", "~")))
    read(row, backend)
    assert (row["right"], row["visible_passed"], row["program"]) == (False, False, "")
    assert (summary["solved"], summary["incidents"]) == (1, 1)
    report = json.loads((regreen.runs[0] / "report.json").read_text())
    assert [score["incidents"] for score in report["scores"]] == [row["incidents"], []]
    assert "incident in add/1: sample 0 passed in " in first.err

    again = regreen(*words, "--resume")
    assert again.code == 0, again.err
    resumed = next(one for one in again.rows if one.get("task_id") == "add/1")
    assert {**resumed, "wall_seconds": 0} == {**row, "wall_seconds": 0}
    assert again.rows[-1]["replayed"] == 2
    lines = regreen("eval", suite, "-m", model, "--limit", "2").out
    assert "incidents: 1 passed in the search and not in a fresh sandbox" in lines


def test_verify_of_one_program_confirms(
    regreen: Run, add_one: Path, fickle: str, backend: str, tmp_path: Path
) -> None:
    (tmp_path / "fickle.py").write_text(fickle)
    (tmp_path / "right.py").write_text(RIGHT)
    words = ("verify", add_one, "--sandbox", backend, "--solution")
    ended = regreen(*words, "fickle.py", "--json", "-q")
    assert ended.code == 1
    row, summary = ended.rows
    read({"incidents": [row["incident"]]}, backend)
    assert (row["passed"], row["outcome"], summary["passed"]) == (False, "failed", 0)
    ended = regreen(*words, "fickle.py", "--no-confirm")
    assert ended.code == 0
    ended = regreen(*words, "right.py")
    assert ended.code == 0
    assert f", confirmed in {backend}/" in ended.out


def test_verify_of_a_batch_confirms_where_a_second_sandbox_is_named(
    regreen: Run, suite: Path, fickle: str, tmp_path: Path
) -> None:
    rows = [{"task_id": "add/1", "solution": text} for text in (fickle, RIGHT, WRONG)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("verify", suite, "--samples", "rows.jsonl", "--json", "-q")
    *plain, _ = regreen(*words).rows
    assert [row["passed"] for row in plain] == [True, True, False]
    assert all("incident" not in row and "confirmed" not in row for row in plain)
    *confirmed, summary = regreen(*words, "--confirm-sandbox", "local").rows
    assert [row["passed"] for row in confirmed] == [False, True, False]
    assert Incident.model_validate(confirmed[0]["incident"]).first.passed
    assert (confirmed[1]["confirmed"], summary["passed"]) == (confirmed[1]["isolation"], 1)


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_another_runtime_and_another_backend_confirm(
    regreen: Run,
    add_one: Path,
    bank: Callable[..., str],
    fickle: str,
    engine_default: str,
    tmp_path: Path,
) -> None:
    model = bank({"add_one": [fickle, RIGHT]})
    words = ("solve", add_one, "-m", model, "--concurrency", "1", "--json")
    named = ("--sandbox", "docker", "--confirm-runtime", engine_default)
    (row,) = regreen(*words, *named).rows
    level = f"docker/container+{engine_default}"
    assert (row["isolation"], row["confirmed"]) == ("docker/slot", level)
    assert row["incidents"][0]["second_level"] == level
    (row,) = regreen(*words, "--sandbox", "local", "--confirm-sandbox", "docker").rows
    assert row["isolation"].startswith("local/")
    assert row["confirmed"] == "docker/container"
    assert row["incidents"][0]["first_level"].startswith("local/")

    # a run that goes on under another runtime asks for its verdicts anew
    ended = regreen(*words, "--resume", *named)
    assert (ended.rows[0]["confirmed"], ended.rows[0]["samples"]) == (level, 2)


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("flag", ["--runtime", "--confirm-runtime"])
def test_unknown_runtime_is_one_line_before_anything_is_paid(
    regreen: Run, add_one: Path, server: Any, engine_default: str, flag: str
) -> None:
    words = ("solve", add_one, *server.words, "--sandbox", "docker", flag)
    ended = regreen(*words, "no-such-runtime")
    assert ended.code == 2
    assert "the Docker engine has no runtime 'no-such-runtime': it has " in ended.line
    assert engine_default in ended.line
    ended = regreen(*words, "io.containerd.no-such.v9")
    assert ended.code == 3
    assert "can't start a container" in ended.line
    assert server.requests == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--runtime", "runsc"), "the local sandbox has no runtime 'runsc'"),
        (("--confirm-runtime", "runsc"), "the local sandbox has no runtime 'runsc'"),
        (("--confirm-sandbox", "box"), "unknown sandbox 'box': known are auto, docker, local"),
        (("--confirm-sandbox", "local", "--no-confirm"), "--no-confirm: leave one of them out"),
    ],
)
def test_second_stage_that_cannot_be_had_is_one_line(
    regreen: Run, add_one: Path, server: Any, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    ended = regreen("solve", add_one, *server.words, *words)
    assert ended.code == 2
    assert said in ended.line
    assert server.requests == []
    (tmp_path / "right.py").write_text(RIGHT)
    ended = regreen("verify", add_one, "--solution", "right.py", *words)
    assert ended.code == 2
    assert said in ended.line
