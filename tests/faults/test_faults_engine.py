"""An engine that goes away in mid-run and comes back, or doesn't: no verdict is wrong."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import shutil
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import docker
import pytest
from anyio.from_thread import start_blocking_portal

from agent.journal import Journal
from sandbox.docker import DockerSandbox
from sandbox.jobs import Report
from sandbox.outcome import Outcome
from sandbox.watcher import LABEL
from tests.agent.cli.conftest import Command
from tests.faults.conftest import PROGRAMS, TASKS, Suite
from tests.faults.machine import Machine
from tests.faults.test_faults_servers import at_work, slow
from tests.sandbox.conftest import unavailable
from tests.sandbox.test_sandbox_endings import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.alone]


@dataclass
class Engine:
    """An engine of the test's own, without a network."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """Its address."""
        return f"unix://{self.folder}/sock"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        places = [f"--{name}={self.folder}/{name}" for name in ("data-root", "exec-root")]
        alone = ["--bridge=none", "--iptables=false", "--ip-masq=false"]
        # an engine without a bridge takes away that of the machine's engine: not from in there
        apart = ["unshare", "--net"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    *apart,
                    "dockerd",
                    *places,
                    *alone,
                    f"--pidfile={self.folder}/pid",
                    "-H",
                    self.host,
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, 60)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(5)  # the docker package leaks a socket where nobody listens
            knock.connect(f"{self.folder}/sock")
            knock.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in knock.recv(100)
        return False

    def stop(self) -> None:
        """Ends it, and its containers with it, as an upgrade of its package does."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None


@pytest.fixture(scope="module")
def own_engine(
    tmp_path_factory: pytest.TempPathFactory, open_sandbox: Callable[..., Any]
) -> Iterator[tuple[Engine, str]]:
    """An engine that may be restarted, and the sandbox's image in it."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        unavailable("only root can start an engine, and only where dockerd is installed")
    with start_blocking_portal() as portal, open_sandbox("docker", portal) as opened:
        image = opened._image_id
        folder = tmp_path_factory.mktemp("engine")
        engine = Engine(folder)
        try:
            engine.start()
            with contextlib.closing(docker.from_env()) as one:
                with contextlib.closing(docker.DockerClient(engine.host, timeout=120)) as other:
                    other.images.load(one.images.get(image).save(chunk_size=1 << 22))
            yield engine, image
        finally:
            engine.stop()
            for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
                if line.split()[1].startswith(f"{folder}/"):
                    subprocess.run(["umount", "-l", line.split()[1]], check=False)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def backend() -> str:
    return "docker"


def verdicts(regreen: Command) -> int:
    """How many verdicts the newest run has."""
    if not regreen.runs or not (regreen.runs[-1] / "journal.jsonl").exists():
        return 0
    return (regreen.runs[-1] / "journal.jsonl").read_text().count('"kind": "verdict"')


def test_an_engine_that_comes_back_costs_no_verdict(
    own_engine: tuple[Engine, str], regreen: Command, faulty: Suite, scratch: Path
) -> None:
    engine, image = own_engine
    regreen.environment["DOCKER_HOST"] = engine.host
    process = regreen.start(*faulty.words, "--image", image)
    wait_until(lambda: verdicts(regreen) >= 2, 60)
    time.sleep(random.uniform(0.0, 0.7))
    engine.stop()
    seen = verdicts(regreen)
    engine.start()
    ended = regreen.end(process)
    assert seen < TASKS * len(PROGRAMS), "the run was over before"
    assert (ended.code, ended.err) == (0, "")
    (run,) = regreen.runs
    faulty.is_right(run)
    with contextlib.closing(docker.DockerClient(engine.host)) as client:
        machine = Machine(client, (scratch,), faulty.nonce)
        machine.settles(process.pid, set(), "a restart")


def test_a_program_is_not_to_blame_for_an_engine_that_goes_twice(
    own_engine: tuple[Engine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, image = own_engine
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    reports: list[Report] = []

    def restart() -> None:
        engine.stop()
        engine.start()

    async def run_through_it() -> None:
        async with DockerSandbox(slots=1, image=image) as place, anyio.create_task_group() as tasks:

            async def run() -> None:
                reports.append(await place.run(slow(1)))

            tasks.start_soon(run)
            for _ in range(2):
                cell = await at_work(place)
                await anyio.to_thread.run_sync(restart)
                assert cell._lost

    with warnings.catch_warnings():
        # The docker package drops its socket unclosed where nobody listens.
        warnings.simplefilter("ignore", ResourceWarning)
        anyio.run(run_through_it)
        gc.collect()
    assert reports[0].outcome is Outcome.PASSED, reports


def test_an_engine_that_stays_away_ends_the_run_which_then_goes_on(
    own_engine: tuple[Engine, str], regreen: Command, faulty: Suite, scratch: Path
) -> None:
    engine, image = own_engine
    impatient = scratch.parent / "impatient"
    impatient.mkdir()
    (impatient / "sitecustomize.py").write_text(
        "import sandbox.pool\nsandbox.pool._RETURN_SECONDS = 2.0\n"
    )
    path = f"{impatient}:{regreen.environment['PYTHONPATH']}"
    regreen.environment |= {"DOCKER_HOST": engine.host, "PYTHONPATH": path}
    process = regreen.start(*faulty.words, "--image", image)
    wait_until(lambda: verdicts(regreen) >= 4, 60)
    began = time.monotonic()
    engine.stop()
    ended = regreen.end(process)
    took = time.monotonic() - began
    assert ended.code == 3
    assert "the Docker engine" in ended.line
    assert took < 45
    (run,) = regreen.runs
    journal = Journal(run)
    kept = set(journal.keys("verdict"))
    journal.close()
    engine.start()
    assert regreen(*faulty.words, "--image", image, "--resume", run.name).code == 0
    faulty.is_right(run)
    assert len(kept) >= 4
    with contextlib.closing(docker.DockerClient(engine.host)) as client:

        def left() -> list[tuple[str, str]]:
            found = client.containers.list(all=True, ignore_removed=True, filters={"label": LABEL})
            return [(one.status, str(one.attrs["State"])) for one in found]

        with contextlib.suppress(AssertionError):
            wait_until(lambda: not left())
        assert left() == []
        assert list(scratch.iterdir()) == []
