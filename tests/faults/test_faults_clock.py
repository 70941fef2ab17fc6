"""A wall clock that jumps, by days and both ways: limits and verdicts are as ever."""

from __future__ import annotations

import ctypes.util
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from tests.agent.cli.conftest import Command
from tests.faults.conftest import Suite

pytestmark = pytest.mark.alone

JUMPS = ("+400d", "-400d", "+1h", "-2s", "+0", "-30d")


def library() -> str:
    """libfaketime, which Debian's package `faketime` puts where no linker looks."""
    found = [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    return next(iter(found), ctypes.util.find_library("faketimeMT") or "")


@pytest.fixture
def jumping(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which the wall clock jumps every tenth of a second."""
    if not library():
        reason = "libfaketime is not here (apt-get install faketime)"
        if os.environ.get("REGREEN_REQUIRE_DOCKER") == "1":
            pytest.fail(reason)  # this machine is to test everything
        pytest.skip(reason)
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    over = threading.Event()

    def jump() -> None:
        for by in itertools.cycle(JUMPS):
            if over.wait(0.1):
                return
            draft = tmp_path / "draft"
            draft.write_text(f"{by}\n")
            draft.replace(offset)

    thread = threading.Thread(target=jump)
    thread.start()
    yield {
        "LD_PRELOAD": library(),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        # A kernel's monotonic clock never jumps.
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    over.set()
    thread.join()


def test_the_clock_does_jump(jumping: dict[str, str]) -> None:
    program = (
        "import select, time\nwall, steady = [], []\nfor _ in range(40):\n"
        "    select.select([], [], [], 0.03)\n"  # it breaks time.sleep
        "    wall.append(time.time())\n    steady.append(time.monotonic())\n"
        "print(max(wall) - min(wall) > 86400 * 300, steady[-1] - steady[0] < 60)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **jumping},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True True\n"


def test_runs_under_a_clock_that_jumps(
    backend: str,
    jumping: dict[str, str],
    regreen: Command,
    faulty: Suite,
    scratch: Path,
    open_sandbox: Callable[..., Any],
) -> None:
    with start_blocking_portal() as portal, open_sandbox(backend, portal):
        pass  # skips where there is no engine
    began = time.monotonic()
    ended = regreen(*faulty.words, env=jumping)
    assert (ended.code, ended.err) == (0, "")
    assert time.monotonic() - began < 60
    faulty.is_right(regreen.runs[-1])
    assert list(scratch.iterdir()) == []
