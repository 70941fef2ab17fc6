"""`kill -9` of the controller, at any moment: the run goes on as if nothing had been.

`REGREEN_KILLS` says how often a run is killed with each backend, twice by default.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from anyio.from_thread import start_blocking_portal

import sandbox.docker
from sandbox import watcher
from sandbox.watcher import LABEL, OWNER
from tests.agent.cli.conftest import Command
from tests.faults.conftest import Suite
from tests.faults.machine import Machine, engine
from tests.sandbox.test_sandbox_endings import descendants, wait_until

pytestmark = pytest.mark.alone

REPOSITORY = Path(__file__).resolve().parent.parent.parent
KILLS = int(os.environ.get("REGREEN_KILLS", "2"))
IN_A_ROW = 5
"""Kills of the same run at the most; then it is left to end."""

OPEN = """
import sys, anyio
from sandbox.docker import DockerSandbox

async def main():
    while True:
        async with DockerSandbox(slots=1):
            print("open", flush=True)

anyio.run(main)
"""


def test_runs_killed_at_any_moment(
    backend: str,
    regreen: Command,
    faulty: Suite,
    scratch: Path,
    open_sandbox: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with start_blocking_portal() as portal, open_sandbox(backend, portal):
        pass  # skips where there is no engine
    if backend == "local":
        regreen(*faulty.words, "--limit", "1")  # makes what is kept in the cache
    seed = secrets.randbelow(10**6)
    moments = random.Random(seed)
    began = time.monotonic()
    assert regreen(*faulty.words).code == 0
    life = time.monotonic() - began
    undisturbed = regreen.runs[-1]
    faulty.is_right(undisturbed)
    reference = faulty.verdicts(undisturbed)
    kills, resumed, too_late, slowest = 0, 0, 0, 0.0
    with engine(backend) as client:
        machine = Machine(client, (scratch,), faulty.nonce)
        while kills < KILLS:
            known = set(regreen.runs)
            again: tuple[str, ...] = ()
            ended = None
            for _ in range(IN_A_ROW):
                process = regreen.start(*faulty.words, *again)
                moment = moments.uniform(0.0, 0.7 * life if again else life)
                time.sleep(moment)
                if process.poll() is not None:
                    too_late += 1
                    ended = regreen.end(process)
                    break
                started = machine.kill(process)
                regreen.end(process)
                kills += 1
                note = f"kill {kills} of seed {seed}, after {moment:.3f} s"
                slowest = max(slowest, machine.settles(process.pid, started, note))
                new = [run for run in regreen.runs if run not in known and has_records(run)]
                again = ("--resume", new[-1].name) if new else ()
                resumed += bool(again)
                if kills == KILLS:
                    break
            ended = ended or regreen(*faulty.words, *again)
            assert ended.code == 0, ended.err
            run = regreen.runs[-1]
            faulty.is_right(run)
            assert faulty.verdicts(run) == reference, f"seed {seed}"
            assert scores(run) == scores(undisturbed)
        machine.no_new_volumes()
    with capsys.disabled():
        print(
            f"\n{backend}: {kills} of {kills} kills clean over a life of {life:.1f} s (seed {seed};"
            f" {resumed} resumed from records, {too_late} runs had ended before); nothing left"
            f" after {slowest:.1f} s at the most"
        )


def has_records(run: Path) -> bool:
    journal = run / "journal.jsonl"
    return journal.exists() and journal.stat().st_size > 0


def scores(run: Path) -> list[dict[str, Any]]:
    """What a report says of each task, but for how long it took."""
    found: list[dict[str, Any]] = json.loads((run / "report.json").read_text())["scores"]
    timed = ("wall_seconds", "ledger")
    return [{key: score[key] for key in score if key not in timed} for score in found]


@pytest.fixture
def client(open_sandbox: Callable[..., Any]) -> Any:
    with start_blocking_portal() as portal, open_sandbox("docker", portal):
        pass  # skips where there is no engine
    with engine("docker") as found:
        yield found


def opener() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", OPEN],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def mine(client: docker.DockerClient, controller: int) -> list[Any]:
    ours = {"label": f"{LABEL}={controller}"}
    return list(client.containers.list(all=True, ignore_removed=True, filters=ours))


@pytest.mark.docker
def test_killed_between_creation_and_start(client: docker.DockerClient) -> None:
    """A container that was never started is one that no stream ends; the watcher does."""
    machine = Machine(client, (), "no nonce")
    events = client.events(decode=True, filters={"event": "create", "label": LABEL})
    with opener() as controller:
        for event in events:
            if event["Actor"]["Attributes"].get(LABEL) == str(controller.pid):
                break
        started = machine.kill(controller)
    events.close()
    assert started, "there was no watcher"
    machine.settles(controller.pid, started, "killed after the engine's first creation")


@pytest.mark.docker
def test_killed_together_with_its_watcher(
    client: docker.DockerClient, open_sandbox: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the next sandbox clears up."""
    made = client.containers.create(
        client.images.get(os.environ.get("REGREEN_BASE_IMAGE", "regreen-base:latest")),
        labels={LABEL: "0", OWNER: "nobody"},
    )
    monkeypatch.setattr(sandbox.docker, "_STALE_SECONDS", 1)
    time.sleep(2)
    with start_blocking_portal() as portal, open_sandbox("docker", portal):
        assert mine(client, 0) == []
    with pytest.raises(docker.errors.NotFound):
        made.reload()


_MAKES_ONE = """
import sys, docker
from sandbox.watcher import labels
made = docker.from_env().containers.create(sys.argv[1], ["sleep", "600"], labels=labels())
if sys.argv[2] == "running":
    made.start()
print(made.id, flush=True)
sys.stdin.readline()
"""


@pytest.mark.docker
@pytest.mark.parametrize("state", ["created", "running"])
def test_what_a_controller_left_goes_with_the_next_sandbox_and_what_it_still_has_stays(
    state: str, client: docker.DockerClient, open_sandbox: Callable[..., Any]
) -> None:
    """It ended while the engine was away, say: nobody waits until its containers are old."""
    image = os.environ.get("REGREEN_BASE_IMAGE", "regreen-base:latest")

    def left() -> bool:
        with start_blocking_portal() as portal, open_sandbox("docker", portal):
            pass
        return bool(client.containers.list(all=True, filters={"id": made}))

    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _MAKES_ONE, image, state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        text=True,
    ) as controller:
        assert controller.stdout is not None
        made = controller.stdout.readline().strip()
        try:
            assert left()
        finally:
            controller.kill()
    assert not left()


def test_a_mark_that_says_nothing_of_this_machine_is_nobodys_end() -> None:
    own = watcher.labels()
    assert not watcher.has_ended(own)
    assert not watcher.has_ended({})
    assert not watcher.has_ended({watcher.PROCESS: ""})
    place, _, process = own[watcher.PROCESS].rpartition(":")
    assert not watcher.has_ended({watcher.PROCESS: f"elsewhere:{process}"})
    assert watcher.has_ended({watcher.PROCESS: f"{place}:{process}0"}), "its id was given again"


@pytest.mark.docker
def test_the_watcher_ends_with_the_sandbox_and_touches_nobody_elses(
    client: docker.DockerClient,
) -> None:
    with opener() as one, opener() as other:
        assert one.stdout is not None
        assert other.stdout is not None
        other.stdout.readline()
        one.stdout.readline()
        one.stdout.readline()  # it has been closed and opened again
        assert len(descendants(one.pid)) <= 1
        started = Machine(client, (), "no nonce").kill(one)
        wait_until(lambda: mine(client, one.pid) == [])
        wait_until(lambda: not started & descendants(1))
        other.stdout.readline()
        other.stdout.readline()
        assert other.poll() is None
        started = Machine(client, (), "no nonce").kill(other)
        wait_until(lambda: mine(client, other.pid) == [])
