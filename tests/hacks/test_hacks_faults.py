"""Whatever is killed, and whenever: nothing remains, and verdicts are right.

`REGREEN_KILLS` says how often a controller is killed with each backend, 10 times by default.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import docker
import docker.errors
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

import sandbox.docker
from sandbox.base import Sandbox
from sandbox.docker import LABEL
from sandbox.jobs import Job, Report
from sandbox.outcome import Outcome
from tests.hacks.catalogue import ADDS_ONE
from tests.hacks.test_hacks_run import descendants
from tests.sandbox.test_sandbox_endings import commands, mounts, wait_until

REPOSITORY = Path(__file__).resolve().parent.parent.parent
KILLS = int(os.environ.get("REGREEN_KILLS", "10"))
LONGEST_LIFE = 3.0
"""Seconds; by then it has started its sandbox and runs candidates."""

CONTROLLER = """
import json, sys
import anyio
from sandbox.docker import DockerSandbox
from sandbox.jobs import Job
from sandbox.local import LocalSandbox

async def main():
    backend, *given = json.load(sys.stdin)
    jobs = [Job.model_validate(job) for job in given]
    async with (DockerSandbox if backend == "docker" else LocalSandbox)(slots=2) as sandbox:
        async def work():
            while True:
                for job in jobs:
                    await sandbox.run(job)
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(work)

anyio.run(main)
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    os.closerange(0, 64)
    os.execv("/bin/sleep", ["sleep", "{nonce}"])
open("left", "w").write("behind")
time.sleep(0.1)
def f(x): return 0
"""
BATCH = [
    (ADDS_ONE.right, Outcome.PASSED),
    (ADDS_ONE.wrong, Outcome.FAILED),
    ("def f(x): raise ValueError", Outcome.ERROR),
    ("import os\ndef f(x): os._exit(0)", Outcome.CRASH),
    (DAEMON.format(nonce="99"), Outcome.FAILED),
    ("import time\ndef f(x):\n    time.sleep(0.3)\n    return x + 1", Outcome.PASSED),
]


def batch(nonce: str) -> list[Job]:
    texts = [DAEMON.format(nonce=nonce), *(text for text, _ in BATCH)]
    return [ADDS_ONE.job(text, {}) for text in texts]


@pytest.fixture(scope="module")
def opened(backend: str, open_sandbox: Callable[..., Any]) -> Iterator[tuple[BlockingPortal, Any]]:
    """A sandbox of these tests' own, since they break it."""
    with start_blocking_portal() as portal, open_sandbox(backend, portal) as place:
        yield portal, place


async def verdicts(place: Sandbox) -> list[Outcome]:
    return [(await place.run(ADDS_ONE.job(text, {}))).outcome for text, _ in BATCH]


RIGHT = [outcome for _, outcome in BATCH]


@contextmanager
def engine(backend: str) -> Iterator[docker.DockerClient | None]:
    if backend != "docker":
        yield None
        return
    client = docker.from_env()
    try:
        yield client
    finally:
        client.close()


def containers(client: docker.DockerClient | None, controller: int) -> list[Any]:
    """Those that a controller has started, and that the engine still knows."""
    if client is None:
        return []
    ours = {"label": f"{LABEL}={controller}"}
    found: list[Any] = client.containers.list(all=True, ignore_removed=True, filters=ours)
    return found


def test_controllers_killed_at_any_moment(
    backend: str, opened: tuple[BlockingPortal, Any], tmp_path: Path
) -> None:
    portal, place = opened
    tmp_path.chmod(0o755)
    before = mounts()
    seed = secrets.randbelow(10**6)
    moments = random.Random(seed)
    volumes: set[str] = set()
    with engine(backend) as client:
        if client is not None:
            volumes = {volume.name for volume in client.volumes.list()}
        for number in range(KILLS):
            nonce = f"{secrets.randbelow(10**9) + 10**9}"
            jobs = [job.model_dump(mode="json") for job in batch(nonce)]
            life = moments.uniform(0.3, LONGEST_LIFE)
            with subprocess.Popen(
                [sys.executable, "-c", CONTROLLER],
                stdin=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path)},
            ) as controller:
                assert controller.stdin is not None
                controller.stdin.write(json.dumps([backend, *jobs]).encode())
                controller.stdin.close()
                time.sleep(life)
                assert controller.poll() is None
                started = descendants(controller.pid)
                controller.kill()
            note = f"kill {number} of seed {seed}, after {life:.3f} s"
            remains(client, controller.pid, started, nonce, note)
            assert list(tmp_path.iterdir()) == [], note
            assert mounts() == before, note
        if client is not None:
            assert {volume.name for volume in client.volumes.list()} <= volumes
    assert portal.call(verdicts, place) == RIGHT


def remains(
    client: docker.DockerClient | None, controller: int, started: set[int], nonce: str, note: str
) -> None:
    """Fails if within ten seconds anything of a controller is still there.

    A container that was created and not started is not counted: the engine may make one after its
    client has died, and the next sandbox ends those, see below.
    """

    def left() -> list[object]:
        running = commands()
        alive = []
        for container in containers(client, controller):
            if container.status == "created":
                with contextlib.suppress(docker.errors.APIError):  # it is being removed already
                    container.remove(force=True)
            else:
                alive.append(container)
        return [
            *(found for pid, found in running.items() if pid in started or nonce in found),
            *alive,
        ]

    end = time.monotonic() + 10
    while left() and time.monotonic() < end:
        time.sleep(0.05)
    assert left() == [], note


@pytest.mark.docker
def test_a_controller_killed_between_creation_and_start(
    open_sandbox: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that was never started is one that no stream ends; the next sandbox does."""
    monkeypatch.setattr(sandbox.docker, "_STALE_SECONDS", 3)
    with start_blocking_portal() as portal, open_sandbox("docker", portal):
        pass  # skips where there is no engine
    with engine("docker") as client:
        assert client is not None
        events = client.events(decode=True, filters={"event": "create", "label": LABEL})
        with subprocess.Popen(
            [sys.executable, "-c", CONTROLLER],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        ) as controller:
            assert controller.stdin is not None
            controller.stdin.write(json.dumps(["docker"]).encode())
            controller.stdin.close()
            for event in events:
                if event["Actor"]["Attributes"].get(LABEL) == str(controller.pid):
                    break
            controller.kill()
        events.close()
        wait_until(lambda: all(c.status == "created" for c in containers(client, controller.pid)))
        time.sleep(5)
        with start_blocking_portal() as portal, open_sandbox("docker", portal):
            assert containers(client, controller.pid) == []


def processes_of(place: Any, which: str) -> list[int]:
    """Process ids on this machine of a server (`judge` or `zygote`) and all that it started."""
    stream = getattr(place._pool._cell, f"_{which}")
    if hasattr(stream, "_process"):
        return [stream._process.pid, *sorted(descendants(stream._process.pid))]
    table = stream._container.top(ps_args="-eo pid")["Processes"]
    return [int(row[0]) for row in table]


VICTIMS = {
    "the judge's server": ("judge", 0),
    "the zygote": ("zygote", 0),
    "the judge of a run": ("judge", -1),
    "the program of a run": ("zygote", -1),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_servers_and_judges(opened: tuple[BlockingPortal, Any], victim: str) -> None:
    portal, place = opened
    which, index = VICTIMS[victim]
    text = "import time\ntime.sleep(2)\ndef f(x): return x + {}"
    reports: dict[int, Report] = {}

    async def one(number: int) -> None:
        reports[number] = await place.run(ADDS_ONE.job(text.format(number), {"wall_seconds": 9}))

    async def kill() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, 1)
            tasks.start_soon(one, 2)
            await anyio.sleep(0.5)
            pids = await anyio.to_thread.run_sync(processes_of, place, which)
            assert len(pids) >= 3  # the server and two runs
            os.kill(pids[index], signal.SIGKILL)

    portal.call(verdicts, place)
    portal.call(kill)
    outcomes = [reports[number].outcome for number in (1, 2)]
    if victim == "the program of a run":  # that is the program's own end, of whichever it was
        assert outcomes in (
            [Outcome.CRASH, Outcome.FAILED],
            [Outcome.PASSED, Outcome.CRASH],
        )
    else:
        assert outcomes == [Outcome.PASSED, Outcome.FAILED]
    assert portal.call(verdicts, place) == RIGHT
