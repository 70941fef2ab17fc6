"""A bank of recorded samples as votes: what each program did on its task's examples and probes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import anyio

from agent.search.agreement import Agreement
from agent.search.base import Proposal
from agent.search.votes import Vote, vote_of
from agent.session import Bench, open_bench
from agent.verification import Sample, read_samples
from bench.search_bank import Recorded, read_bank
from bench.search_common import SearchOptions, report
from tasks import load_suite
from tasks.model import PublicTask
from verifiers.cache import default_cache_path

_EVERY = 500

Votes = dict[str, list[Vote]]
"""Each task's votes in the order of its samples."""


def read_votes(asked: SearchOptions) -> tuple[list[Recorded], Votes]:
    """The bank with its verdicts by all tests, and the votes of its programs.

    Programs are run once, by the visible tests and the probes, and what they did is kept in a file.

    Raises:
        MissingDataError: there is no bank.
    """
    bank = read_bank(asked)
    tasks = {one.task.id: Agreement().prepared(one.task.public()) for one in bank}
    path = _kept(asked, tasks)
    if not path.is_file():
        report(f"observing recorded programs, once: {path}")
        anyio.run(_observe, asked, tasks, path)
    votes: Votes = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        votes.setdefault(row["task_id"], []).append(Vote.model_validate(row["vote"]))
    for found in votes.values():
        found.sort(key=lambda vote: vote.index)
    return bank, votes


def _kept(asked: SearchOptions, tasks: dict[str, PublicTask]) -> Path:
    assert asked.bank is not None
    digest = hashlib.sha256(asked.bank.read_bytes())
    for task in tasks.values():
        digest.update(task.model_dump_json().encode())
    return default_cache_path().parent / f"bench-votes-{digest.hexdigest()[:16]}.jsonl"


async def _observe(asked: SearchOptions, tasks: dict[str, PublicTask], path: Path) -> None:
    assert asked.bank is not None
    suite = load_suite("humaneval")
    samples = read_samples(asked.bank, suite)
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    async with open_bench(asked.settings(), list(suite)) as bench:
        with part.open("w", encoding="utf-8") as file:
            writer = _Writer(file.write)
            async with anyio.create_task_group() as workers:
                for _ in range(bench.sandbox.slots + 1):
                    workers.start_soon(writer.work, samples, tasks, bench)
    part.replace(path)


class _Writer:
    """Judges samples and writes a line of each."""

    def __init__(self, write: object) -> None:
        self._write = write
        self._done = 0

    async def work(
        self, samples: Iterator[Sample], tasks: dict[str, PublicTask], bench: Bench
    ) -> None:
        """Takes one sample after the other until there is none left."""
        for sample in samples:
            verdict = await bench.verifier.verify(tasks[sample.task.id], sample.program)
            vote = vote_of(Proposal(index=int(sample.echo.get("sample", 0))), verdict)
            row = {"task_id": sample.task.id, "vote": vote.model_dump(mode="json")}
            assert callable(self._write)
            self._write(json.dumps(row) + "\n")
            self._done += 1
            if self._done % _EVERY == 0:
                report(f"  {self._done}")
