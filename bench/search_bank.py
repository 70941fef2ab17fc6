"""A bank of recorded samples, and what all of their tests say of each of them, computed once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from agent.llm.usage import estimate_usage
from agent.session import open_bench
from agent.verification import Sample, Tally, VerifiedRow, read_samples, verify_samples
from bench.search_common import MissingDataError, SearchOptions, report
from tasks import load_suite
from tasks.model import Task
from verifiers.cache import default_cache_path

_EVERY = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """The samples of one task.

    Attributes:
        task: what they are for.
        programs: whole.
        bodies: what of each goes on from the prompt.
        right: whether each passes all tests.
        rewards: by all tests.
        tokens: in and out of each sample, estimated from the texts.
    """

    task: Task
    programs: tuple[str, ...]
    bodies: tuple[str, ...]
    right: tuple[bool, ...]
    rewards: tuple[float, ...]
    tokens: tuple[tuple[int, int], ...]


def read_bank(asked: SearchOptions) -> list[Recorded]:
    """The bank with its verdicts, task by task.

    Raises:
        MissingDataError: there is no bank, or its verdicts are those of another one.
    """
    if asked.bank is None or not asked.bank.is_file():
        raise MissingDataError("give a bank of recorded samples with --bank FILE")
    suite = load_suite("humaneval")
    samples = list(read_samples(asked.bank, suite))
    path = asked.verdicts or _kept(asked.bank)
    if not path.is_file():
        report(f"judging {len(samples)} recorded programs, once: {path}")
        anyio.run(judge, samples, asked, path)
    return _join(samples, path)


def of_part(bank: Sequence[Recorded], part: str) -> list[Recorded]:
    """The tasks of a part: `even` or `odd` places in the bank, or `all`."""
    if part == "all":
        return list(bank)
    return list(bank[part == "odd" :: 2])


def _kept(bank: Path) -> Path:
    digest = hashlib.sha256(bank.read_bytes()).hexdigest()[:16]
    return default_cache_path().parent / f"bench-verdicts-{digest}.jsonl"


async def judge(samples: list[Sample], asked: SearchOptions, path: Path) -> None:
    """Judges samples by all tests, and keeps a line of each in a file, whole or not at all."""
    tasks = list({sample.task.id: sample.task for sample in samples}.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    async with open_bench(asked.settings(), tasks) as bench:
        with part.open("w", encoding="utf-8") as file:
            tally = Tally()

            def give(sample: Sample, row: VerifiedRow) -> None:
                kept = {"task_id": sample.task.id, "sample": sample.echo.get("sample", 0)}
                kept |= {"passed": row.passed, "reward": row.reward}
                file.write(json.dumps(kept) + "\n")
                if tally.total % _EVERY == 0:
                    report(f"  {tally.total} of {len(samples)}")

            await verify_samples(iter(samples), bench, tally=tally, give=give)
    part.replace(path)


def kept_rows(samples: list[Sample], path: Path) -> list[dict[str, Any]]:
    """The kept verdicts of samples.

    Raises:
        MissingDataError: they are those of others.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    if [row["task_id"] for row in rows] != [sample.task.id for sample in samples]:
        raise MissingDataError(f"{path} holds no verdicts of this bank: remove it, or name another")
    return rows


def _join(samples: list[Sample], path: Path) -> list[Recorded]:
    found: dict[str, list[tuple[Sample, bool, float]]] = {}
    for sample, row in zip(samples, kept_rows(samples, path), strict=True):
        judged = sample, bool(row["passed"]), float(row["reward"])
        found.setdefault(sample.task.id, []).append(judged)
    return [_recorded(ones) for ones in found.values()]


def _recorded(ones: list[tuple[Sample, bool, float]]) -> Recorded:
    task = ones[0][0].task
    prompts = [str(sample.echo.get("prompt", task.public().prompt)) for sample, _, _ in ones]
    bodies = [
        sample.program.removeprefix(prompt)
        for (sample, _, _), prompt in zip(ones, prompts, strict=True)
    ]
    asked = len(task.public().prompt)
    usages = [estimate_usage(asked, len(body)) for body in bodies]
    return Recorded(
        task,
        tuple(sample.program for sample, _, _ in ones),
        tuple(bodies),
        tuple(right for _, right, _ in ones),
        tuple(reward for _, _, reward in ones),
        tuple((usage.tokens_in, usage.tokens_out) for usage in usages),
    )
