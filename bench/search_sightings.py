"""A bank of recorded samples as a search with agreement sees them, each program run once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from agent.reward.cases import Sighting, sighting
from agent.reward.code import code_size
from agent.search.agreement import Agreement
from agent.search.votes import Vote
from agent.session import Bench, open_bench
from agent.verification import Sample, read_samples
from bench.search_bank import Recorded, read_bank
from bench.search_common import SearchOptions, report
from tasks import load_suite
from tasks.model import PublicTask
from verifiers.cache import default_cache_path
from verifiers.inputs import example_arguments

_EVERY = 500


@dataclass(frozen=True, slots=True)
class Searched:
    """A recorded task.

    Attributes:
        name: of the task.
        tests: visible ones, as far as one can count them.
        votes: of its programs.
        right: whether each passes the official tests.
        sightings: of its programs.
    """

    name: str
    tests: int
    votes: tuple[Vote, ...]
    right: tuple[bool, ...]
    sightings: tuple[Sighting, ...]


def read_sightings(asked: SearchOptions) -> list[Searched]:
    """The bank's programs as a search with agreement sees them, each run once.

    Raises:
        MissingDataError: there is no bank.
    """
    bank = read_bank(asked)
    prepared = {one.task.id: Agreement().prepared(one.task.public()) for one in bank}
    path = _kept(asked, prepared)
    if not path.is_file():
        report(f"observing recorded programs, once: {path}")
        anyio.run(_observe, asked, prepared, path)
    seen: dict[str, list[Sighting]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        seen.setdefault(row["task_id"], []).append(Sighting.model_validate(row["sighting"]))
    return [_searched(one, seen[one.task.id]) for one in bank]


def _searched(recorded: Recorded, seen: Sequence[Sighting]) -> Searched:
    ordered = tuple(sorted(seen, key=lambda one: one.vote.index))
    return Searched(
        name=recorded.task.id,
        tests=len(example_arguments(recorded.task.public())),
        votes=tuple(one.vote for one in ordered),
        right=recorded.right,
        sightings=ordered,
    )


def _kept(asked: SearchOptions, tasks: dict[str, PublicTask]) -> Path:
    assert asked.bank is not None
    digest = hashlib.sha256(asked.bank.read_bytes())
    for task in tasks.values():
        digest.update(task.model_dump_json().encode())
    return default_cache_path().parent / f"bench-sightings-{digest.hexdigest()[:16]}.jsonl"


async def _observe(asked: SearchOptions, tasks: dict[str, PublicTask], path: Path) -> None:
    assert asked.bank is not None
    suite = load_suite("humaneval")
    samples = read_samples(asked.bank, suite)
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    async with open_bench(asked.settings(), list(suite)) as bench:
        rows: list[str] = []
        async with anyio.create_task_group() as workers:
            for _ in range(bench.sandbox.slots + 1):
                workers.start_soon(_work, samples, tasks, bench, rows)
    part.write_text("".join(rows), encoding="utf-8")
    part.replace(path)


async def _work(
    samples: Iterator[Sample], tasks: dict[str, PublicTask], bench: Bench, rows: list[str]
) -> None:
    """Observes one program after the other until there is none left."""
    for sample in samples:
        verdict = await bench.verifier.verify(tasks[sample.task.id], sample.program)
        verdict = verdict.model_copy(update={"size": code_size(sample.program)})
        seen = sighting(int(sample.echo.get("sample", 0)), verdict)
        row = {"task_id": sample.task.id, "sighting": seen.model_dump(mode="json")}
        rows.append(json.dumps(row) + "\n")
        if len(rows) % _EVERY == 0:
            report(f"  {len(rows)}")
