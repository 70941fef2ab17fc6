"""Ctrl-C at any moment: nothing is left running, nothing that was received is lost."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from agent.cli import commands
from agent.cli.main import interrupted_once_and_for_all
from agent.journal import Journal
from sandbox.docker import LABEL

Run = Any
WRONG = "def f(n):\n    return 0\n"
INTERRUPTED = (130, -signal.SIGINT)
"""A shell shows both as 130; the second is a Python before our code began, or after its end."""

Process = tuple[int, str]


def processes() -> dict[int, tuple[int, str]]:
    """Parent and start time of every process."""
    found: dict[int, tuple[int, str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(path.parent.name)] = int(fields[1]), fields[19]
    return found


def descendants(root: int) -> set[Process]:
    """All processes below one, with their start times: numbers are used again."""
    everyone = processes()
    below: set[int] = {root}
    while more := {pid for pid, (parent, _) in everyone.items() if parent in below} - below:
        below |= more
    return {(pid, everyone[pid][1]) for pid in below if pid in everyone}


def left(of: set[Process], seconds: float = 10.0) -> set[Process]:
    """Those that still run after a while."""
    deadline = time.monotonic() + seconds
    while True:
        everyone = processes()
        running = {(pid, start) for pid, start in of if everyone.get(pid, (0, ""))[1] == start}
        if not running or time.monotonic() > deadline:
            return running
        time.sleep(0.05)


def interrupt_after(process: Any, seconds: float) -> set[Process]:
    """Sends SIGINT then; returns the processes that were seen below it."""
    seen: set[Process] = set()
    moment = time.monotonic() + seconds
    while (rest := moment - time.monotonic()) > 0:
        time.sleep(min(rest, 0.02))
        if rest < 0.1:
            seen |= descendants(process.pid)
    seen |= descendants(process.pid)
    process.send_signal(signal.SIGINT)
    return seen


def words(server: Any, task: Path, *more: str) -> tuple[Any, ...]:
    # best-of-n: it never gives a task up, however long it takes until the interruption
    strategy = ("--strategy", "best-of-n", "--temperature", "0.9")
    return ("solve", task, *server.words, "-n", "400", *strategy, *more)


def test_at_random_moments(
    regreen: Run, add_one: Path, server: Any, say: Callable[[str], Any]
) -> None:
    server.answer = lambda _request: say(f"```python\n{WRONG}```")
    server.delay = 0.05
    moments = random.Random(7)
    last: Path | None = None
    for number in range(10):
        answered = server.answered
        process = regreen.start(*words(server, add_one))
        if number % 2:  # half of them while samples come, however slow the start was
            wait_until(lambda before=answered: server.answered > before + 2)  # type: ignore[misc]
            seen = interrupt_after(process, moments.uniform(0.0, 0.5))
        else:
            seen = interrupt_after(process, moments.uniform(0.02, 2.5))
        ended = regreen.end(process, timeout=120)
        assert ended.code in INTERRUPTED, (number, ended)
        if ended.code == 130:
            assert "Traceback" not in ended.err
            assert ended.line.startswith("regreen: interrupted")
        assert not left(seen)
        for run in regreen.runs:
            journal = Journal(run)
            if journal.keys("sample"):
                last = run
            journal.close()
    assert last is not None, "no interruption came after the first sample"


def test_an_import_that_swallows_it_does_not_keep_the_run_going() -> None:
    done: list[str] = []

    def load() -> None:
        with interrupted_once_and_for_all():
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGINT)
            done.append("the rest of it")

    with pytest.raises(KeyboardInterrupt):
        load()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_comes_while_the_words_are_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    application = typer.Typer()

    @application.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "application", lambda _needed: application)
    with pytest.raises(KeyboardInterrupt):
        commands.run([])


def test_an_interrupted_run_says_how_to_go_on(
    regreen: Run, add_one: Path, server: Any, say: Callable[[str], Any]
) -> None:
    server.answer = lambda _request: say(f"```python\n{WRONG}```")
    server.delay = 0.05
    process = regreen.start(*words(server, add_one, "-q", "--concurrency", "1"))
    wait_until(lambda: server.answered >= 6)
    process.send_signal(signal.SIGINT)
    ended = regreen.end(process)
    (run,) = regreen.runs
    assert ended.code == 130
    assert ended.err == (
        f"regreen: interrupted; what was received is kept: go on with --resume {run.name}\n"
    )
    journal = Journal(run)
    kept = len(journal.keys("sample"))
    journal.close()
    assert kept >= 1
    server.requests.clear()
    server.delay = 0.0
    server.answer = lambda _request: say("```python\ndef f(n):\n    return n + 1\n```")
    ended = regreen(
        *words(server, add_one, "-q", "--json", "--concurrency", "1"), "--resume", run.name
    )
    assert ended.code == 0
    (solution,) = ended.rows
    assert solution["samples"] == kept + 1
    assert len(server.requests) == 1  # the first new one is right


def test_nothing_begun_leaves_no_folder(regreen: Run, add_one: Path, hung_engine: int) -> None:
    process = regreen.start(
        "solve",
        add_one,
        "-m",
        "openai/x",
        "--base-url",
        "http://127.0.0.1:9",
        "--sandbox",
        "docker",
        env={"DOCKER_HOST": f"tcp://127.0.0.1:{hung_engine}"},
    )
    wait_until(lambda: bool(regreen.runs))
    time.sleep(0.7)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None, "it waits for the engine: the first signal ends in good order"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    ended = regreen.end(process)
    assert time.monotonic() - began < 2
    assert ended.code == 130


@pytest.fixture
def hung_engine() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


@pytest.mark.docker
def test_containers_end_with_it(
    regreen: Run, add_one: Path, server: Any, say: Callable[[str], Any], engine: Any
) -> None:
    server.answer = lambda _request: say(f"```python\n{WRONG}```")
    server.delay = 0.05
    process = regreen.start(*words(server, add_one, "--sandbox", "docker"))
    mine = {"label": f"{LABEL}={process.pid}"}
    wait_until(lambda: server.answered >= 3)
    assert engine.containers.list(filters=mine)
    process.send_signal(signal.SIGINT)
    assert regreen.end(process).code == 130
    wait_until(lambda: not engine.containers.list(all=True, filters=mine), 10)
