"""Killed controllers, containers and servers: nothing remains, and no verdict is wrong."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import docker
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from sandbox.base import Sandbox
from sandbox.docker import LABEL, DockerSandbox
from sandbox.jobs import Isolation, Job, Report
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tests.sandbox.conftest import let_others_in

pytestmark = pytest.mark.alone

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MODES = ("local", "reduced", pytest.param("docker", marks=pytest.mark.docker))

CONTROLLER = """
import json, sys
import anyio
from sandbox.docker import DockerSandbox
from sandbox.jobs import Job
from sandbox.local import LocalSandbox

async def main():
    mode, *jobs = json.load(sys.stdin)
    reduced = mode == "reduced"
    sandbox = DockerSandbox(slots=2) if mode == "docker" else LocalSandbox(
        slots=2, allow_reduced=reduced)
    async with sandbox, anyio.create_task_group() as tasks:
        assert sandbox.reduced == reduced
        for job in jobs:
            tasks.start_soon(sandbox.run, Job.model_validate(job))

anyio.run(main)
"""
STUBBORN = """
import os, signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 64)
        os.execv("/bin/sleep", ["sleep", "{nonce}"])
    os._exit(0)
open("left", "w").write("behind")
def f(x):
    os.system("sleep {nonce}")
"""


def commands() -> dict[int, str]:
    """Every process of this machine, those in containers included, and its command."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_text(errors="replace")
            except OSError:
                continue
    return found


def descendants(root: int) -> set[int]:
    """Processes that `root` started, and those that they did."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue
    found: set[int] = set()
    while more := {pid for pid, up in parents.items() if up in {root, *found}} - found:
        found |= more
    return found


def mounts(*folders: Path) -> list[str]:
    """This machine's mounts, but for an engine's and for those of tests that run beside this one.

    Args:
        folders: of this test, which count all the same.
    """
    lines = Path("/proc/self/mounts").read_text().splitlines()
    own = tuple(str(folder) for folder in folders)
    return [
        line
        for line in lines
        if "docker" not in line and ("/pytest-of-" not in line or line.split()[1].startswith(own))
    ]


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize("mode", MODES)
def test_nothing_outlives_a_killed_controller(
    mode: str, make_job: Callable[..., Job], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    client: Any = None
    volumes: set[str] = set()
    if mode == "docker":
        request.getfixturevalue("docker_opened")
        client = request.getfixturevalue("engine")
        volumes = {volume.name for volume in client.volumes.list()}
    nonce = f"{secrets.randbelow(10**9) + 10**9}"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    let_others_in(scratch)
    before = mounts(scratch)
    jobs = [make_job(STUBBORN.format(nonce=nonce)).model_dump(mode="json")] * 2
    wrapper = [str(Path(__file__).with_name("without_namespaces.py"))] if mode == "reduced" else []
    with subprocess.Popen(
        [sys.executable, *wrapper, "-c", CONTROLLER],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(scratch)},
    ) as controller:
        try:
            assert controller.stdin is not None
            controller.stdin.write(json.dumps([mode, *jobs]).encode())
            controller.stdin.close()

            def at_work() -> int:
                return sum(command == f"sleep\0{nonce}\0" for command in commands().values())

            wait_until(lambda: at_work() == 4, 30)  # of each program, one and its daemon
            started = descendants(controller.pid)
            # the one has its slots there, the other the sockets of its judges' servers
            assert bool(list(scratch.iterdir())) == (mode in {"reduced", "docker"})
            if client is not None:
                ours = {"label": f"{LABEL}={controller.pid}"}
                assert len(client.containers.list(filters=ours)) == 2
        finally:
            controller.kill()
    wait_until(lambda: not any(nonce in command for command in commands().values()))
    wait_until(lambda: not started & set(commands()))
    wait_until(lambda: not list(scratch.iterdir()))
    assert mounts(scratch) == before
    if client is not None:
        wait_until(lambda: not client.containers.list(all=True, ignore_removed=True, filters=ours))
        assert {volume.name for volume in client.volumes.list()} <= volumes


@pytest.fixture(scope="module")
def docker_opened(
    open_sandbox: Callable[[str, BlockingPortal], Any],
) -> Iterator[tuple[BlockingPortal, Sandbox]]:
    """A Docker sandbox of these tests' own, since they break it."""
    with start_blocking_portal() as portal, open_sandbox("docker", portal) as sandbox:
        yield portal, sandbox


@pytest.mark.docker
@pytest.mark.parametrize("victim", ["judge", "zygote"])
def test_a_killed_container_costs_no_verdict(
    victim: str,
    docker_opened: tuple[BlockingPortal, Sandbox],
    engine: docker.DockerClient,
    make_job: Callable[..., Job],
) -> None:
    portal, sandbox = docker_opened
    slow = "import time\ndef f(x):\n    time.sleep(0.3)\n    return x + {}\n"
    reports: dict[int, Report] = {}

    async def one(number: int) -> None:
        reports[number] = await sandbox.run(make_job(slow.format(number)))

    def kill() -> None:
        ours = engine.containers.list(
            ignore_removed=True, filters={"label": f"{LABEL}={os.getpid()}"}
        )
        for container in ours:
            shared = container.attrs["HostConfig"]["IpcMode"].startswith("container:")
            if shared == (victim == "zygote") and container.id in mine:
                container.kill()

    async def all_of_it() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, 1)
            tasks.start_soon(one, 2)
            await anyio.sleep(0.2)
            await anyio.to_thread.run_sync(kill)

    portal.call(one, 1)
    cell = sandbox._pool._cell  # type: ignore[attr-defined]
    mine = {stream._container.id for stream in (cell._judge, cell._zygote)}
    portal.call(all_of_it)
    assert {number: report.outcome for number, report in reports.items()} == {
        1: Outcome.PASSED,
        2: Outcome.FAILED,
    }
    assert not mine & {
        container.id for container in engine.containers.list(all=True, ignore_removed=True)
    }


@pytest.mark.docker
def test_container_isolation_in_docker(
    docker_opened: tuple[BlockingPortal, Sandbox], make_job: Callable[..., Job]
) -> None:
    portal, _ = docker_opened
    sandbox: Any = DockerSandbox(slots=1, isolation=Isolation.CONTAINER)
    with portal.wrap_async_context_manager(sandbox) as opened:
        assert opened.level == "docker/container"
        report = portal.call(opened.run, make_job("def f(x): return x + 1"))
        assert report.outcome is Outcome.PASSED


@pytest.mark.docker
def test_a_container_out_of_memory_is_the_programs_doing(
    docker_opened: tuple[BlockingPortal, Sandbox], make_job: Callable[..., Job]
) -> None:
    """Each process keeps its limit, and together they exceed the container's."""
    portal, sandbox = docker_opened
    program = (
        "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n"
        "        kept = b'x' * (400 << 20)\n        time.sleep(60)\n"
        "kept = b'x' * (400 << 20)\ntime.sleep(60)\n"
    )
    report = portal.call(sandbox.run, make_job(program, limits={"wall_seconds": 2}))
    assert report.outcome in (Outcome.MEMORY, Outcome.TIMEOUT, Outcome.CRASH), report
    good = portal.call(sandbox.run, make_job("def f(x): return x + 1"))
    assert good.outcome is Outcome.PASSED


@pytest.mark.anyio
async def test_a_killed_server_costs_no_verdict(make_job: Callable[..., Job]) -> None:
    reports: list[Report] = []
    async with LocalSandbox(slots=1) as sandbox:
        before = descendants(os.getpid())

        async def one() -> None:
            job = make_job("import time\ndef f(x):\n    time.sleep(0.3)\n    return x + 1")
            reports.append(await sandbox.run(job))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await anyio.sleep(0.2)
            zygote: Any = sandbox._pool._cell._zygote  # type: ignore[union-attr]
            os.kill(zygote._process.pid, signal.SIGKILL)
        assert [report.outcome for report in reports] == [Outcome.PASSED]
        assert zygote._process.pid in before
        assert zygote._process.pid not in descendants(os.getpid())
