"""Jobs beyond the slots: they wait in the cell, get their own verdicts, and are never stuck."""

from __future__ import annotations

import os
from collections.abc import Callable

import anyio
import pytest

from sandbox import program
from sandbox.jobs import Job, Report
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome

MakeJob = Callable[..., Job]
SLOW = "import time\ntime.sleep({seconds})\ndef f(x): return x + 1\n"
WALL = {"wall_seconds": 60.0}


@pytest.mark.anyio
async def test_a_slot_runs_one_program_at_a_time(make_job: MakeJob) -> None:
    spans: list[tuple[float, float]] = []
    says = (
        "import time\nbegan = time.monotonic()\ntime.sleep(0.2)\nprint(began, time.monotonic())\n"
        "def f(x): return x + {more}\n"
    )
    outcomes: dict[int, Outcome] = {}
    async with LocalSandbox(slots=2) as sandbox:

        async def run(number: int) -> None:
            report = await sandbox.run(make_job(says.format(more=1 + number % 2)))
            outcomes[number] = report.outcome
            began, ended = map(float, report.output.split())
            spans.append((began, ended))

        async with anyio.create_task_group() as tasks:
            for number in range(9):
                tasks.start_soon(run, number)
    right = {number: Outcome.FAILED if number % 2 else Outcome.PASSED for number in range(9)}
    assert outcomes == right
    assert max(sum(a <= at < b for a, b in spans) for at, _ in spans) == 2


@pytest.mark.anyio
async def test_what_waits_goes_elsewhere_when_a_run_is_cut_short(make_job: MakeJob) -> None:
    reports: list[Report] = []
    done = anyio.Event()
    async with LocalSandbox(slots=1) as sandbox, anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def first() -> None:
            with scope:
                await sandbox.run(make_job(SLOW.format(seconds=50), limits=WALL))

        async def second() -> None:
            reports.append(await sandbox.run(make_job(SLOW.format(seconds=0))))
            done.set()

        tasks.start_soon(first)
        await anyio.sleep(0.3)
        tasks.start_soon(second)
        await anyio.sleep(0.3)
        assert not reports
        scope.cancel()
        with anyio.fail_after(40):
            await done.wait()
    assert reports[0].outcome is Outcome.PASSED


@pytest.mark.anyio
@pytest.mark.skipif(os.geteuid() != 0, reason="the folder of a run is only looked at by user ids")
async def test_what_waits_goes_elsewhere_when_something_is_left_behind(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that left it has a verdict all the same, and so has each that waited."""
    sources = program.sources()
    name, end = "regreen_guest.confine", "        self._end_first()\n        for _round"
    assert sources[name].count(end) == 1
    stays = '        if "left" in os.listdir(self._folder):\n            return False\n'
    monkeypatch.setitem(sources, name, sources[name].replace(end, stays + end))
    leaves = 'import time\ntime.sleep(0.5)\nopen("left", "w").close()\ndef f(x): return x + 1\n'
    asks = 'import os\nprint(os.path.exists("left"))\ndef f(x): return x + 1\n'
    reports: list[Report] = []
    async with LocalSandbox(slots=1, launcher="namespaces") as sandbox:

        async def run(text: str) -> None:
            reports.append(await sandbox.run(make_job(text)))

        async with anyio.create_task_group() as tasks:
            for text in (leaves, asks, asks, asks):
                tasks.start_soon(run, text)
                await anyio.sleep(0.05)
    assert [report.outcome for report in reports] == [Outcome.PASSED] * 4
    assert [report.output for report in reports[1:]] == ["False\n"] * 3
