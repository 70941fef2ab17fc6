"""Cleanup: whatever a program takes is taken from it, and the next one finds nothing of it."""

from __future__ import annotations

import secrets
from pathlib import Path

import anyio

from sandbox.jobs import Report

from .bench import RIGHT, WRONG, Bench, asserts, check, job, must_end
from .model import Unmet
from .wrong import BURNS

_SLACK_SECONDS = 20.0
"""What ending a run and judging the next may take on a machine that is busy."""
_SETTLE_SECONDS = 3.0


async def _works_again(bench: Bench) -> None:
    """Right and wrong programs are told apart in every slot."""
    for report in await bench.in_every_slot(job(RIGHT)):
        if report.outcome != "passed":
            raise Unmet(f"after it a right program ended as {report.outcome}: {report.detail}")
    for report in await bench.in_every_slot(job(WRONG)):
        if report.outcome != "failed":
            raise Unmet(f"after it a wrong program ended as {report.outcome}: {report.detail}")


async def _must_find_nothing(bench: Bench, program: str, what: str) -> None:
    """Runs a program in every slot that returns the names of what it finds."""
    tests = asserts("assert len(f()) == 0")
    for report in await bench.in_every_slot(job(program, tests)):
        if report.outcome != "passed":
            found = report.output.strip() or report.detail
            raise Unmet(f"the next program found {what}: {found[:300]}")


@check("cleanup", "a fork bomb", "Processes that multiply are ended, all of them.", alone=True)
async def _fork_bomb(bench: Bench) -> str:
    # eight generations: where nothing stops them, they are 256
    bomb = """
        import os, time
        def f(x):
            end = time.monotonic() + 4
            for _ in range(8):
                try: os.fork()
                except OSError: pass
            while time.monotonic() < end: time.sleep(0.05)
            os._exit(0)
    """
    limits = {"pids": 24, "cpu_seconds": 1, "wall_seconds": 2}
    began = anyio.current_time()
    must_end(
        await bench.run(job(bomb, limits=limits)), "pids", "timeout", "crash", "error", "protocol"
    )
    await _works_again(bench)
    took = anyio.current_time() - began
    if took > _SLACK_SECONDS:
        raise Unmet(f"it took {took:.0f} s to get rid of it")
    return ""


@check("cleanup", "a daemon", "A process that is left in the background ends with its run.",
       alone=True)  # fmt: skip
async def _daemon(bench: Bench) -> str:
    mark = f"left{secrets.token_hex(5)}"
    program = f"""
        import ctypes, os, signal, time
        def f(x):
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    ctypes.CDLL(None).prctl(15, b"{mark}", 0, 0, 0)
                    os.closerange(0, 64)
                    time.sleep(20)
                os._exit(0)
            os.wait()
            time.sleep(0.1)
            return x + 1
    """
    for report in await bench.in_every_slot(job(program)):
        must_end(report, "passed")
    looks = f"""
        import os
        def f():
            found = []
            for pid in range(1, 4000):
                try:
                    name = open(f"/proc/{{pid}}/comm").read().strip()
                except OSError:
                    continue
                if name == "{mark}": found.append(name)
            if found: print("process", *found)
            return found
    """
    await _must_find_nothing(bench, looks, "it")
    deadline = anyio.current_time() + _SETTLE_SECONDS
    while left := await anyio.to_thread.run_sync(_processes_called, mark):
        if anyio.current_time() > deadline:
            raise Unmet(f"it is still there: process {', '.join(map(str, left))} of this machine")
        await anyio.sleep(0.05)
    return ""


def _processes_called(name: str) -> list[int]:
    """Processes of this machine, in containers or not, that gave themselves this name."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == name:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@check("cleanup", "files left behind", "The next program finds an empty folder of its own.",
       alone=True)  # fmt: skip
async def _files(bench: Bench) -> str:
    mark = f"left-{secrets.token_hex(6)}"
    leaves = f"""
        import os
        os.makedirs("{mark}/b/c")
        open("{mark}/b/c/file", "w").write("x")
        os.symlink("/usr", "{mark}/link")
        os.chmod("{mark}/b", 0)
        os.mkfifo("{mark}-fifo")
        for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "..", "/slots"):
            try: open(folder + "/{mark}", "w").close()
            except OSError: pass
        def f(x): return x + 1
    """
    finds = f"""
        import os
        def f():
            found = [f"./{{name}}" for name in os.listdir(".")]
            if not os.access(".", os.W_OK): found.append("a folder that can't be written")
            for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "..", "/slots"):
                if os.path.lexists(folder + "/{mark}"):
                    found.append(folder + "/{mark}")
                    try: os.unlink(folder + "/{mark}")
                    except OSError: pass
            if found: print(*found)
            return found
    """
    for report in await bench.in_every_slot(job(leaves)):
        must_end(report, "passed")
    await _must_find_nothing(bench, finds, "what the last one had left")
    return ""


@check("cleanup", "a changed interpreter", "What a program patches, only it sees.", alone=True)
async def _interpreter(bench: Bench) -> str:
    mark = f"left_{secrets.token_hex(6)}"
    patches = f"""
        import builtins, os, sys
        builtins.{mark} = sys.{mark} = os.{mark} = True
        builtins.max = lambda *given: 0
        os.environ["{mark}"] = "1"
        sys.path.insert(0, "{mark}")
        def f(x): return x + 1
    """
    finds = f"""
        import builtins, os, sys
        def f():
            found = [m.__name__ for m in (builtins, sys, os) if hasattr(m, "{mark}")]
            found += ["an environment"] * ("{mark}" in os.environ)
            found += ["a path"] * ("{mark}" in sys.path) + ["max"] * (max(1, 3) != 3)
            if found: print(*found)
            return found
    """
    for report in await bench.in_every_slot(job(patches)):
        must_end(report, "passed")
    await _must_find_nothing(bench, finds, "its changes to")
    return ""


@check("cleanup", "a full scratch space", "A folder that was filled is empty for the next one.",
       alone=True)  # fmt: skip
async def _scratch(bench: Bench) -> str:
    fills = "def f(x):\n    for n in range(64): open(str(n), 'wb').write(bytes(1 << 20))"
    writes = "open('x', 'wb').write(bytes(8 << 20))\ndef f(x): return x + 1"
    await bench.in_every_slot(job(fills))
    for report in await bench.in_every_slot(job(writes)):
        must_end(report, "passed")
    return ""


async def _ended_in_time(bench: Bench, program: str, limits: dict[str, float]) -> Report:
    began = anyio.current_time()
    report = await bench.run(job(program, limits=limits))
    took = anyio.current_time() - began
    if took > _SLACK_SECONDS - 5:
        raise Unmet(f"it ran for {took:.0f} s")
    must_end(report, "timeout")
    return report


@check("cleanup", "cpu burnt", "A program that burns cpu time is ended when it has had its share.")
async def _burns(bench: Bench) -> str:
    report = await _ended_in_time(bench, BURNS + RIGHT, {"cpu_seconds": 1})
    if report.cpu_seconds > 3:
        raise Unmet(f"it had {report.cpu_seconds:.1f} s of cpu time, and 1 s was allowed")
    return f"{report.cpu_seconds:.1f} s of cpu time"


@check("cleanup", "deaf to signals", "A program that ignores every signal ends all the same.")
async def _deaf(bench: Bench) -> str:
    program = """
        import signal, time
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        def f(x):
            end = time.monotonic() + 20
            while time.monotonic() < end: time.sleep(1)
    """
    await _ended_in_time(bench, program, {"wall_seconds": 0.5})
    return ""


@check("cleanup", "the next verdict", "After all of this right is right and wrong is wrong.",
       alone=True)  # fmt: skip
async def _next(bench: Bench) -> str:
    await _works_again(bench)
    return ""


CHECKS = [_fork_bomb, _daemon, _files, _interpreter, _scratch, _burns, _deaf, _next]
