"""Full disks: a run goes on, or ends with one line and then goes on with what it had."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from sandbox.jobs import Job
from sandbox.outcome import Outcome
from tests.agent.cli.conftest import Command
from tests.faults.conftest import Suite
from tests.hacks.catalogue import ADDS_ONE

pytestmark = pytest.mark.alone

ENOUGH = 64 << 20
LOCAL = pytest.mark.parametrize("backend", ["local"])
"""Neither backend has a part in it, and this one needs no engine."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts small file systems."""
    mounted: list[Path] = []

    def mount(name: str, *, kilobytes: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        options = f"size={kilobytes}k,mode=1777"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("only root can mount a file system")
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("this machine lets nobody mount a file system")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leaves no room at all."""
    filler = folder / "filler"
    with open(filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


def make_room(folder: Path) -> None:
    command = ["mount", "-o", f"remount,size={ENOUGH}", str(folder)]
    subprocess.run(command, check=True)


@LOCAL
def test_the_runs_folder_fills_up(
    regreen: Command, faulty: Suite, disk: Callable[..., Path]
) -> None:
    runs = disk("small", kilobytes=40)
    regreen.environment["REGREEN_RUNS"] = str(runs)
    ended = regreen(*faulty.words)
    assert ended.code == 3
    assert "make room and go on with --resume" in ended.line
    (run,) = regreen.runs
    make_room(runs)
    ended = regreen(*faulty.words, "--resume", run.name)
    assert (ended.code, ended.err) == (0, "")
    faulty.is_right(run)


@LOCAL
def test_the_cache_folder_is_full(
    regreen: Command, faulty: Suite, disk: Callable[..., Path]
) -> None:
    cache = disk("small", kilobytes=64)
    fill(cache)
    regreen.environment["REGREEN_CACHE_DIR"] = str(cache)
    words = [word for word in faulty.words if word != "--no-cache"]
    ended = regreen(*words)
    assert ended.code == 3  # it keeps the judge's libraries there
    assert "free space there or set REGREEN_CACHE_DIR" in ended.line
    make_room(cache)
    assert regreen(*words, "--limit", "1").code == 0
    fill(cache)  # and now there is no room for a verdict
    ended = regreen(*words)
    assert ended.code == 0, ended.err
    faulty.is_right(regreen.runs[-1])


@LOCAL
def test_the_folder_of_temporary_files_is_full(
    regreen: Command, faulty: Suite, disk: Callable[..., Path]
) -> None:
    scratch = disk("small", kilobytes=64)
    filler = fill(scratch)
    regreen.environment["TMPDIR"] = str(scratch)
    ended = regreen(*faulty.words)
    assert ended.code == 0, ended.err
    faulty.is_right(regreen.runs[-1])
    assert list(scratch.iterdir()) == [filler]


FILLS = """
import os
def f(x):
    kept, reason = [], None
    for folder in (".", "/tmp", "/dev/shm"):
        try:
            for number in range(64):
                kept.append(open(f"{folder}/{number}", "wb", buffering=0))
                while True:
                    kept[-1].write(b"x" * (1 << 18))
        except OSError as error:
            reason = reason or error
    raise reason
"""
WRITES = """
def f(x):
    open("mine", "wb").write(b"x" * (1 << 20))
    return x + len(open("mine", "rb").read()) // (1 << 20)
"""


def test_a_slot_that_is_full_is_its_programs_own(
    backend: str, open_sandbox: Callable[..., Any]
) -> None:
    with start_blocking_portal() as portal, open_sandbox(backend, portal) as place:

        def outcome(text: str) -> Outcome:
            found: Outcome = portal.call(place.run, job(text)).outcome
            return found

        def job(text: str) -> Job:
            return ADDS_ONE.job(text, {"wall_seconds": 30})

        for _ in range(2):
            assert outcome(FILLS) is Outcome.DISK
            assert outcome(WRITES) is Outcome.PASSED
