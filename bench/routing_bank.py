"""A bank of recorded samples with what a router may see of each: verdict, reward, behaviour.

All of a task's tests are given to the search here, so a pass is a solved task and no hidden test is
looked at. The verdicts are computed once in the sandbox and kept.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio

from agent.routing.features import features
from agent.routing.fitting import Recorded
from agent.routing.observed import Draw, draw_of
from agent.search.base import Proposal, seen
from agent.session import open_bench
from agent.verification import Sample, read_samples
from bench.search_common import MissingDataError, SearchOptions, report
from tasks import load_suite
from tasks.model import Task
from verifiers.cache import default_cache_path

_EVERY = 500


def read_recorded(asked: SearchOptions) -> list[Recorded]:
    """The bank with its verdicts, task by task.

    Raises:
        MissingDataError: there is no bank, or its verdicts are those of another one.
    """
    if asked.bank is None or not asked.bank.is_file():
        raise MissingDataError("give a bank of recorded samples with --bank FILE")
    samples = list(read_samples(asked.bank, load_suite("humaneval")))
    path = asked.verdicts or kept(asked.bank, "routing")
    if not path.is_file():
        report(f"judging {len(samples)} recorded programs, once: {path}")
        anyio.run(_judge, samples, asked, path)
    return _joined(samples, path)


def halves(bank: Sequence[Recorded], seed: int) -> tuple[list[Recorded], list[Recorded]]:
    """The bank in two halves, drawn by lot: one to fit on, one that stays untouched."""
    order = list(range(len(bank)))
    random.Random(f"{seed}/halves").shuffle(order)
    first = set(order[: len(order) // 2])
    return (
        [one for place, one in enumerate(bank) if place in first],
        [one for place, one in enumerate(bank) if place not in first],
    )


def kept(bank: Path, what: str) -> Path:
    """The file in the cache for what was once found out about a bank."""
    digest = hashlib.sha256(bank.read_bytes()).hexdigest()[:16]
    return default_cache_path().parent / f"bench-{what}-{digest}.jsonl"


def keep(path: Path, rows: Iterable[str]) -> None:
    """Writes lines to a file, all of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    part.replace(path)


async def _judge(samples: Sequence[Sample], asked: SearchOptions, path: Path) -> None:
    """Judges samples by all tests, and keeps a line of each in a file, whole or not at all."""
    tasks = {sample.task.id: sample.task for sample in samples}
    given = {name: task.given() for name, task in tasks.items()}
    rows: list[str] = [""] * len(samples)
    waiting = list(reversed(range(len(samples))))
    async with open_bench(asked.settings(), list(tasks.values())) as bench:

        async def worker() -> None:
            while waiting:
                place = waiting.pop()
                sample = samples[place]
                verdict = await bench.verifier.verify(given[sample.task.id], sample.program)
                draw = draw_of(seen(Proposal(index=place), verdict))
                rows[place] = json.dumps({"task_id": sample.task.id, **draw.model_dump()})
                if place % _EVERY == 0:
                    report(f"  {place} of {len(samples)}")

        async with anyio.create_task_group() as group:
            for _ in range(bench.sandbox.slots + 1):
                group.start_soon(worker)
    keep(path, rows)


def _joined(samples: Sequence[Sample], path: Path) -> list[Recorded]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    if [row.pop("task_id") for row in rows] != [sample.task.id for sample in samples]:
        raise MissingDataError(f"{path} holds no verdicts of this bank: remove it, or name another")
    found: dict[str, tuple[Task, list[Draw]]] = {}
    for sample, row in zip(samples, rows, strict=True):
        found.setdefault(sample.task.id, (sample.task, []))[1].append(Draw.model_validate(row))
    return [
        Recorded(task_id=name, looks=features(task.given()), draws=tuple(draws))
        for name, (task, draws) in found.items()
    ]
