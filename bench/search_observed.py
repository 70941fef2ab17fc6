"""What a bank's programs did on their tasks' examples and probes: each is run once, and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import anyio
from pydantic import BaseModel

from agent.search.agreement import Agreement
from agent.session import Bench, open_bench
from agent.verification import Sample, read_samples
from bench.search_bank import Recorded
from bench.search_common import SearchOptions, report
from tasks import load_suite
from tasks.model import PublicTask
from verifiers.cache import default_cache_path
from verifiers.verdict import Verdict

_EVERY = 500

Seen = TypeVar("Seen", bound=BaseModel)
See = Callable[[int, Sample, Verdict], BaseModel]
"""What is kept of a program: its number among its task's samples, it, and its visible verdict."""


def observed(
    asked: SearchOptions, bank: list[Recorded], name: str, kind: type[Seen], see: See
) -> dict[str, list[Seen]]:
    """What is kept of the bank's programs, by task, in no particular order.

    Args:
        asked: the options, with the bank's file.
        bank: its tasks.
        name: of what is kept, one of it; for the file that it stands in.
        kind: its model.
        see: makes it.
    """
    tasks = {one.task.id: Agreement().prepared(one.task.public()) for one in bank}
    path = _kept(asked, tasks, name)
    if not path.is_file():
        report(f"observing recorded programs, once: {path}")
        anyio.run(_observe, asked, tasks, path, name, see)
    found: dict[str, list[Seen]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["task_id"], []).append(kind.model_validate(row[name]))
    return found


def _kept(asked: SearchOptions, tasks: dict[str, PublicTask], name: str) -> Path:
    assert asked.bank is not None
    digest = hashlib.sha256(asked.bank.read_bytes())
    for task in tasks.values():
        digest.update(task.model_dump_json().encode())
    return default_cache_path().parent / f"bench-{name}s-{digest.hexdigest()[:16]}.jsonl"


async def _observe(
    asked: SearchOptions, tasks: dict[str, PublicTask], path: Path, name: str, see: See
) -> None:
    assert asked.bank is not None
    suite = load_suite("humaneval")
    samples = read_samples(asked.bank, suite)
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    async with open_bench(asked.settings(), list(suite)) as bench:
        rows: list[str] = []
        async with anyio.create_task_group() as workers:
            for _ in range(bench.sandbox.slots + 1):
                workers.start_soon(_work, samples, tasks, bench, name, see, rows)
    part.write_text("".join(rows), encoding="utf-8")
    part.replace(path)


async def _work(
    samples: Iterator[Sample],
    tasks: dict[str, PublicTask],
    bench: Bench,
    name: str,
    see: See,
    rows: list[str],
) -> None:
    """Observes one program after the other until there is none left."""
    for sample in samples:
        verdict = await bench.verifier.verify(tasks[sample.task.id], sample.program)
        seen = see(int(sample.echo.get("sample", 0)), sample, verdict)
        row = {"task_id": sample.task.id, name: seen.model_dump(mode="json")}
        rows.append(json.dumps(row) + "\n")
        if len(rows) % _EVERY == 0:
            report(f"  {len(rows)}")
