"""Servers, judges and programs that are killed, stopped or cut off: every verdict is right."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import docker
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

import sandbox.cell
import sandbox.local
import sandbox.program
from sandbox.base import Sandbox
from sandbox.docker import DockerSandbox
from sandbox.jobs import Job, Report
from sandbox.outcome import Outcome
from tests.faults.machine import Machine
from tests.faults.test_faults_kills import opener
from tests.hacks.catalogue import ADDS_ONE
from tests.hacks.test_hacks_run import descendants

pytestmark = pytest.mark.alone

PLAIN = [
    (ADDS_ONE.right, Outcome.PASSED),
    (ADDS_ONE.wrong, Outcome.FAILED),
    ("def f(x): raise ValueError", Outcome.ERROR),
]
VICTIMS = {
    "the judge's server": ("judge", 0),
    "the zygote": ("zygote", 0),
    "the judge of a run": ("judge", -1),
    "the program of a run": ("zygote", -1),
}


@pytest.fixture(scope="module")
def opened(backend: str, open_sandbox: Callable[..., Any]) -> Iterator[tuple[BlockingPortal, Any]]:
    """A sandbox of these tests' own, since they break it."""
    with start_blocking_portal() as portal, open_sandbox(backend, portal) as place:
        yield portal, place


async def verdicts(place: Sandbox) -> list[Outcome]:
    return [(await place.run(ADDS_ONE.job(text, {}))).outcome for text, _ in PLAIN]


def slow(number: int) -> Job:
    text = f"import time\ntime.sleep(1.5)\ndef f(x): return x + {number}"
    return ADDS_ONE.job(text, {"wall_seconds": 30})


def processes_of(place: Any, which: str, cell: Any = None) -> list[int]:
    """Process ids on this machine of a server (`judge` or `zygote`) and all that it started.

    The server comes first, and what was started last comes last.
    """
    stream = getattr(cell or place._pool._cell, f"_{which}")
    if hasattr(stream, "_process"):
        first = stream._process.pid
        return [first, *sorted(descendants(first), key=start_of)]
    table = stream._container.top(ps_args="-eo pid")["Processes"]
    return sorted((int(row[0]) for row in table), key=start_of)


def start_of(pid: int) -> tuple[int, int]:
    """When a process was started, in ticks; ids alone begin anew at some time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]), pid


async def two_runs_and(place: Sandbox, fault: Callable[[], None]) -> list[Outcome]:
    """Has a fault happen while a right and a wrong program run; how these ended."""
    reports: dict[int, Report] = {}

    async def one(number: int) -> None:
        reports[number] = await place.run(slow(number))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, 1)
        tasks.start_soon(one, 2)
        await anyio.sleep(0.5)
        await anyio.to_thread.run_sync(fault)
    return [reports[number].outcome for number in (1, 2)]


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed(opened: tuple[BlockingPortal, Any], victim: str) -> None:
    portal, place = opened
    which, index = VICTIMS[victim]

    def kill() -> None:
        pids = processes_of(place, which)
        assert len(pids) >= 3  # the server and two runs
        os.kill(pids[index], signal.SIGKILL)

    portal.call(verdicts, place)
    outcomes = portal.call(two_runs_and, place, kill)
    if victim == "the program of a run":  # that is the program's own end, of whichever it was
        assert outcomes in (
            [Outcome.CRASH, Outcome.FAILED],
            [Outcome.PASSED, Outcome.CRASH],
        )
    else:
        assert outcomes == [Outcome.PASSED, Outcome.FAILED]
    assert portal.call(verdicts, place) == [outcome for _, outcome in PLAIN]


async def at_work(place: Any) -> Any:
    """The next cell in which something runs."""
    while True:
        for cell in list(place._pool._cells):
            if cell._waiting and not cell._lost:
                await anyio.sleep(0.4)
                return cell
        await anyio.sleep(0.02)


def test_a_program_whose_sandbox_breaks_twice_has_failed(
    opened: tuple[BlockingPortal, Any],
) -> None:
    """It might break them itself; and nothing of the backend's was away."""
    portal, place = opened
    reports: list[Report] = []

    async def run() -> None:
        reports.append(await place.run(slow(1)))

    async def break_twice() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            for _ in range(2):
                cell = await at_work(place)
                pids = await anyio.to_thread.run_sync(processes_of, place, "zygote", cell)
                os.kill(pids[0], signal.SIGKILL)
                while not cell._lost:  # noqa: ASYNC110 - a tick
                    await anyio.sleep(0.01)

    portal.call(break_twice)
    assert reports[0].outcome is Outcome.CRASH
    assert "no way out" in reports[0].detail
    assert portal.call(verdicts, place) == [outcome for _, outcome in PLAIN]


def test_orders_that_are_lost_with_the_process_that_took_them(
    backend: str, open_sandbox: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the kernel is out of memory in just that moment."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's programs have no process ahead of them")
    name, texts = "regreen_guest.slot", sandbox.program.sources()
    before = "        _UNDER_WAY.pack_into(page, 0, os.getpid(), uid)\n        page.close()"
    assert texts[name].count(before) == 1
    killed = "        if b'lose me' in text: os.kill(os.getpid(), 9)\n" + before
    changed = texts[name].replace(before, killed).replace("_SECONDS = 5.0", "_SECONDS = 0.2")
    monkeypatch.setitem(texts, name, changed)
    job = ADDS_ONE.job(f"# lose me\n{ADDS_ONE.right}", {"wall_seconds": 1})
    with start_blocking_portal() as portal, open_sandbox(backend, portal) as place:
        report = portal.call(place.run, job)
        assert report.outcome is Outcome.INFRA, report
        assert "before it had begun" in (report.detail or "")
        assert portal.call(verdicts, place) == [outcome for _, outcome in PLAIN]


@pytest.mark.parametrize("which", ["judge", "zygote"])
def test_stopped(
    opened: tuple[BlockingPortal, Any], which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that neither ends nor answers, as one in a frozen container."""
    portal, place = opened
    monkeypatch.setattr(sandbox.cell, "_PINGS", 2)
    monkeypatch.setattr(sandbox.local, "_CLOSE_SECONDS", 0.5)
    stopped: list[int] = []

    def stop() -> None:
        stopped.extend(processes_of(place, which))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

    portal.call(verdicts, place)
    began = time.monotonic()
    assert portal.call(two_runs_and, place, stop) == [Outcome.PASSED, Outcome.FAILED]
    assert time.monotonic() - began < 30
    assert portal.call(verdicts, place) == [outcome for _, outcome in PLAIN]
    assert not [pid for pid in stopped if os.path.exists(f"/proc/{pid}")]


class Relay:
    """The engine's socket over TCP, with streams that can be cut off."""

    def __init__(self) -> None:
        self._streams: list[threading.Event] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.host = "tcp://{}:{}".format(*self._server.getsockname())
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stall(self) -> None:
        """From now on nothing goes through the streams there are."""
        for flows in self._streams:
            flows.clear()

    def close(self) -> None:
        """Ends all of it."""
        for flows in self._streams:
            flows.set()
        for end in (self._server, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._server, *self._ends):
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
                self._ends += [near, far]
                flows = threading.Event()
                flows.set()
                for source, target in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._pump, args=(source, target, flows))
                    thread.start()
                    self._threads.append(thread)

    def _pump(self, source: socket.socket, target: socket.socket, flows: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if b"/attach?" in data:
                    self._streams.append(flows)
                flows.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(open_sandbox: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    with start_blocking_portal() as portal, open_sandbox("docker", portal):
        pass  # skips where there is no engine
    made = Relay()
    monkeypatch.setenv("DOCKER_HOST", made.host)
    yield made
    made.close()


@pytest.mark.docker
def test_streams_that_stall(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over a network that drops what it should carry, without a word."""
    monkeypatch.setattr(sandbox.cell, "_PINGS", 2)
    sandbox_over_tcp: Any = DockerSandbox(slots=2)
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(sandbox_over_tcp) as place:
            began = time.monotonic()
            assert portal.call(two_runs_and, place, relay.stall) == [Outcome.PASSED, Outcome.FAILED]
            assert time.monotonic() - began < 40


@pytest.mark.docker
def test_the_watcher_goes_the_way_that_the_controller_went(relay: Relay) -> None:
    with contextlib.closing(docker.DockerClient(relay.host)) as client:
        machine = Machine(client, (), "no nonce")
        with opener() as controller:
            assert controller.stdout is not None
            controller.stdout.readline()
            started = machine.kill(controller)
        machine.settles(controller.pid, started, "over TCP")
