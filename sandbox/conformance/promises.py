"""Promises: what `sandbox.base.Sandbox` says of itself, beyond the verdict on one program."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio

from sandbox.errors import SandboxError
from sandbox.jobs import Report

from .bench import RIGHT, WRONG, Bench, check, job, must_end, told
from .model import Unmet

_CLOSE_SECONDS = 30.0
_WAITS = 40


@check("promises", "a sandbox of its own", "`fresh` gives a new sandbox and another hash seed.",
       alone=True)  # fmt: skip
async def _fresh(bench: Bench) -> str:
    # Addresses are laid out anew when an interpreter starts, not when it forks; devices are
    # numbered anew when file systems are made.
    shows = """
        import os, sys
        home = os.stat(".")
        print(hash("regreen"), id(sys), id(len), home.st_dev)
        def f(x): return x + 1
    """

    async def ask(fresh: bool) -> tuple[str, tuple[str, ...]]:
        report = await bench.run(job(shows), fresh=fresh)
        must_end(report, "passed")
        seed, *place = report.output.split()
        return seed, tuple(place)

    usual, _ = await ask(False), await ask(False)
    first, second = await ask(True), await ask(True)
    if first[0] == usual[0]:
        raise Unmet("the hash seed is the same as without it")
    if first[1] == usual[1]:
        raise Unmet("it is the sandbox that was there before")
    if first[1] == second[1]:
        raise Unmet("two fresh runs shared a sandbox")
    return ""


@check("promises", "jobs at a time", "As many jobs run at the same time as there are slots.",
       alone=True)  # fmt: skip
async def _together(bench: Bench) -> str:
    slots = bench.sandbox.slots
    wanted = bench.options.slots
    if slots < 1 or (wanted is not None and slots != wanted):
        raise Unmet(f"{wanted} slots were asked for, and it says that it has {slots}")
    for seconds in (0.5, 2.0, 5.0):  # longer where starting them takes as long as they run
        sleeps = job(f"import time\ntime.sleep({seconds})\n" + RIGHT)
        began = anyio.current_time()
        for report in await bench.in_every_slot(sleeps):
            must_end(report, "passed")
        took = anyio.current_time() - began
        if took < seconds:
            raise Unmet(f"{slots} jobs that wait for {seconds:g} s were over in {took:.2f} s")
        if slots == 1 or took < 1.9 * seconds:
            return f"{slots} slots"
    raise Unmet(f"{slots} jobs that wait for {seconds:g} s each took {took:.1f} s together")


@check("promises", "reports and their jobs", "Of jobs at the same time, each gets its own report.",
       alone=True)  # fmt: skip
async def _own_report(bench: Bench) -> str:
    def work(number: int) -> str:
        answer = "x + 1" if number % 2 == 0 else str(number)
        return f"import time\nprint({number})\ntime.sleep(0.02)\ndef f(x): return {answer}"

    numbers = range(10, 10 + 4 * max(2, bench.sandbox.slots))
    reports = await bench.run_all([job(work(number)) for number in numbers])
    for number, report in zip(numbers, reports, strict=True):
        if report.output.strip() != str(number):
            raise Unmet(f"job {number} got a report of job {report.output.strip()[:20] or '?'}")
        must_end(report, "failed" if number % 2 else "passed")
    return f"{len(reports)} jobs"


@check("promises", "what it says of itself", "Level, identity and `reduced` are stable and true.")
async def _identity(bench: Bench) -> str:
    def says(sandbox: object) -> tuple[object, ...]:
        return tuple(getattr(sandbox, name) for name in ("level", "identity", "reduced"))

    before = says(bench.sandbox)
    report = await bench.run(job(RIGHT))
    await bench.run(job(RIGHT), fresh=True)
    if says(bench.sandbox) != before:
        raise Unmet(f"first {before}, later {says(bench.sandbox)}")
    if report.isolation != bench.sandbox.level:
        raise Unmet(f"a report says {report.isolation!r}, the sandbox {bench.sandbox.level!r}")
    async with bench.another() as other:
        if says(other) != before:
            raise Unmet(f"first {before}, opened again {says(other)}")
    if not bench.sandbox.level or not bench.sandbox.identity:
        raise Unmet("it has no level, or no identity")
    return str(bench.sandbox.level)


@check("promises", "a cancelled run", "Its slot can be used again, and it isn't waited for.",
       alone=True)  # fmt: skip
async def _cancelled(bench: Bench) -> str:
    began = anyio.current_time()
    waits = job(f"import time\ntime.sleep({_WAITS})\n{RIGHT}", limits={"wall_seconds": _WAITS + 5})
    with anyio.move_on_after(0.5) as scope:
        await bench.in_every_slot(waits)
    took = anyio.current_time() - began
    if not scope.cancelled_caught:
        raise Unmet(f"a run that waits for {_WAITS} s was over before it was cancelled")
    if took > 8:
        raise Unmet(f"cancelling took {took:.0f} s")
    with anyio.move_on_after(_WAITS - 10) as scope:
        rights = await bench.in_every_slot(job(RIGHT))
        wrongs = await bench.in_every_slot(job(WRONG))
    if scope.cancelled_caught:
        raise Unmet(f"after it, no verdict came within {_WAITS - 10} s")
    for report in rights:
        must_end(report, "passed")
    for report in wrongs:
        must_end(report, "failed")
    return ""


@check("promises", "what is closed", "A job for a sandbox that is not open raises `SandboxError`.")
async def _closed(bench: Bench) -> str:
    sandbox = bench.another()
    for when in ("before it was opened", "after it was closed"):
        if when.startswith("after"):
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(sandbox)
            # now it is closed
        for fresh in (False, True):
            try:
                with anyio.fail_after(_CLOSE_SECONDS):
                    report = await sandbox.run(job(RIGHT), fresh=fresh)
            except SandboxError:
                continue
            except Exception as error:
                raise Unmet(f"{when} a job raised {type(error).__name__}: {error}") from None
            raise Unmet(f"{when} a job ended as {told(report)}")
    return ""


@check("promises", "what a run used", "A report has cpu time, wall time, memory, calls and output.")
async def _used(bench: Bench) -> str:
    program = """
        import time
        kept = b"x" * (50 << 20)
        end = time.process_time() + 0.3
        while time.process_time() < end: pass
        time.sleep(0.2)
        print("hello")
        def f(x): return x + 1
    """
    report = await bench.run(job(program))
    must_end(report, "passed")
    for name, least, most in (
        ("cpu_seconds", 0.25, 2.5),
        ("wall_seconds", 0.45, 60.0),
        ("memory_bytes", 45 << 20, 2 << 30),
        ("calls", 2, 2),
    ):
        value = getattr(report, name)
        if not least <= value <= most:
            raise Unmet(f"{name} is {value:g}, which should be between {least:g} and {most:g}")
    if report.output != "hello\n":
        raise Unmet(f"its output was 'hello', the report has {report.output[:100]!r}")
    mib = report.memory_bytes / (1 << 20)
    return f"{report.cpu_seconds:.2f} s of cpu, {report.wall_seconds:.2f} s, {mib:.0f} MiB"


@check("promises", "a killed server", "A program that kills its server has crashed: no `infra`.",
       alone=True)  # fmt: skip
async def _killer(bench: Bench) -> str:
    # Only what started it: where no wall stops it, that is the sandbox's own process.
    program = """
        import os, signal, time
        def f(x):
            for pid in {os.getppid(), 1} if os.getppid() != 1 else {1}:
                try: os.kill(pid, signal.SIGKILL)
                except OSError: pass
            time.sleep(0.3)
            os._exit(1)
    """
    must_end(await bench.run(job(program)), "crash")
    for report in await bench.in_every_slot(job(RIGHT)):
        must_end(report, "passed")
    return ""


@check("promises", "a run beside a crash", "A neighbour that crashes costs no verdict.")
async def _beside(bench: Bench) -> str:
    jobs = [job("import time\ntime.sleep(0.2)\n" + RIGHT), job("import os\nos._exit(1)")]
    reports: list[Report] = await bench.run_all(jobs)
    must_end(reports[0], "passed")
    must_end(reports[1], "crash")
    return ""


CHECKS = [
    _fresh,
    _together,
    _own_report,
    _identity,
    _cancelled,
    _closed,
    _used,
    _killer,
    _beside,
]
