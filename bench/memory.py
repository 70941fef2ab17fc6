"""Whether memory grows: many candidates through one sandbox, resident sizes from time to time.

Sampled are the controller (this process) and, with no candidate at work, the sandbox's servers:
the processes of its containers as the engine lists them, or this process's own descendants. A
sandbox replaces its servers after some thousands of runs, so their growth is looked for within
each pair of servers; over all it could never show.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from bench.peers.base import TIMEOUT_SECONDS, PeerError
from bench.programs import SEED, Candidate
from bench.results import MemoryResults, MemorySample, Slope
from sandbox.docker import LABEL, connect
from sandbox.errors import SandboxError
from sandbox.jobs import Limits
from sandbox.registry import SandboxOptions, create_sandbox
from verifiers.verifier import Verifier

_WARM_UP = 10
"""Of all candidates, one part of so many: caches fill, heaps find their size, no slope looks."""

_SETTLE_SECONDS = 0.2
_PAGE = os.sysconf("SC_PAGE_SIZE")
_RESAMPLES = 2_000
_PER = 10_000

Point = tuple[float, float, str]
"""Candidates judged, MiB, and the group within which growth counts."""


def measure(
    name: str,
    candidates: Sequence[Candidate],
    *,
    count: int,
    every: int,
    workers: int,
    report: Callable[[str], None],
) -> MemoryResults:
    """Judges `count` candidates, no text twice, and samples after `every` of them.

    Args:
        name: the sandbox.
        candidates: right solutions; taken in turn, each time with another comment at the end.
        count: how many candidates.
        every: how many between two samples.
        workers: slots, and candidates at a time.
        report: called with a line at each sample.

    Raises:
        PeerError: the sandbox failed.
    """
    try:
        return anyio.run(_measure, name, _distinct(candidates), count, every, workers, report)
    except SandboxError as error:
        raise PeerError(str(error)) from None


def _distinct(candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, str]]:
    for number, candidate in enumerate(itertools.cycle(candidates)):
        yield candidate, f"{candidate.program}\n# {number}\n"


async def _measure(
    name: str,
    programs: Iterator[tuple[Candidate, str]],
    count: int,
    every: int,
    workers: int,
    report: Callable[[str], None],
) -> MemoryResults:
    limits = Limits(cpu_seconds=TIMEOUT_SECONDS, wall_seconds=TIMEOUT_SECONDS)
    samples: list[MemorySample] = []
    failed = done = 0
    seconds = 0.0

    async with create_sandbox(name, SandboxOptions(slots=workers, limits=limits)) as box:
        verifier = Verifier(box, limits=limits)

        async def work(block: Iterator[tuple[Candidate, str]]) -> None:
            nonlocal failed
            for candidate, program in block:
                verdict = await verifier.verify(
                    candidate.task, program, tests=candidate.tests, cache=False
                )
                failed += not verdict.passed

        while True:
            await anyio.sleep(_SETTLE_SECONDS)  # what a run leaves is being cleared away
            cell, guests = await anyio.to_thread.run_sync(_guests, name)
            samples.append(MemorySample(done, _mib(os.getpid()), guests, cell))
            report(
                f"memory: {name}, {done} of {count}: controller {samples[-1].controller:.1f} MiB, "
                f"guests {guests:.1f} MiB"
            )
            if done >= count:
                break
            block = itertools.islice(programs, min(every, count - done))
            done = min(done + every, count)
            since = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for _ in range(workers):
                    tasks.start_soon(work, block)
            seconds += time.perf_counter() - since
    warm_up = count // _WARM_UP
    warm = [sample for sample in samples if sample.done >= warm_up]
    return MemoryResults(
        samples=samples,
        warm_up=warm_up,
        controller=slope([(one.done, one.controller, "") for one in warm]),
        guests=slope(
            [
                (one.done, one.guests, one.cell)
                for before, one in itertools.pairwise(samples)
                # servers that are new have not found their size
                if one.done >= warm_up and before.cell == one.cell
            ]
        ),
        seconds=seconds,
        failed=failed,
    )


def slope(points: Sequence[Point]) -> Slope | None:
    """Least squares with one slope and a level for each group; the interval is a bootstrap's.

    Residuals are drawn again, since the points are the only ones there are at their places.

    Returns:
        `None` where the points can't tell a slope from noise: fewer than three, or one moment only
        in each group.
    """
    groups: dict[str, list[tuple[float, float]]] = {}
    for done, mib, group in points:
        groups.setdefault(group, []).append((done / _PER, mib))
    spread: list[tuple[float, float]] = []
    for members in groups.values():
        middle = sum(x for x, _ in members) / len(members)
        level = sum(y for _, y in members) / len(members)
        spread += [(x - middle, y - level) for x, y in members]
    weight = sum(x * x for x, _ in spread)
    moments = {(x, group) for group, members in groups.items() for x, _ in members}
    if len(spread) - len(groups) < 2 or len(moments) == len(groups):
        return None
    value = sum(x * y for x, y in spread) / weight
    # each level and the slope have taken a degree of freedom out of the residuals
    wider = (len(spread) / (len(spread) - len(groups) - 1)) ** 0.5
    residuals = [wider * (y - value * x) for x, y in spread]
    chance = random.Random(SEED)
    again = sorted(
        value + sum(x * chance.choice(residuals) for x, _ in spread) / weight
        for _ in range(_RESAMPLES)
    )
    return Slope(value, again[round(0.025 * _RESAMPLES)], again[round(0.975 * _RESAMPLES) - 1])


def _guests(name: str) -> tuple[str, float]:
    """Which servers there are, and their resident MiB."""
    return _in_containers() if name == "docker" else _descendants()


def _in_containers() -> tuple[str, float]:
    with contextlib.closing(connect()) as client:
        found = client.containers.list(
            filters={"label": f"{LABEL}={os.getpid()}"}, ignore_removed=True
        )
        kib = 0
        for container in found:
            listed = client.api.top(container.id, ps_args="-o pid,rss")
            place = listed["Titles"].index("RSS")
            kib += sum(int(row[place]) for row in listed["Processes"])
        return " ".join(sorted(container.short_id for container in found)), kib / 1024


def _descendants() -> tuple[str, float]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                parent = int(status.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    below, waiting = 0.0, list(children.get(os.getpid(), ()))
    servers = " ".join(map(str, sorted(waiting)))
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError):
            below += _mib(pid)
        waiting += children.get(pid, ())
    return servers, below


def _mib(pid: int) -> float:
    resident = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return resident * _PAGE / (1 << 20)
