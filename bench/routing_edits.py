"""Free edits of a bank's failing programs, judged by all tests: which draws one of them mends.

Where a search tries free edits, a draw solves its task if it passes, or if one of its first edits
does. Of the bank's programs that fail and are promising, each edit is judged in its order until one
passes; what came of it is kept, so that any number of edits up to the one asked for can be looked
at. No model is asked. The edits of a repeated program are not judged again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import anyio

from agent.judging import program_identity
from agent.mending import mend
from agent.routing.fitting import Recorded
from agent.search.free_edits import EDITS_FROM
from agent.session import Bench, open_bench
from agent.verification import Sample, read_samples
from bench.routing_bank import keep, kept
from bench.search_common import MissingDataError, SearchOptions, report
from tasks import load_suite

_CPU_SECONDS = 1.0
_EVERY = 100


@dataclass(frozen=True, slots=True)
class Edited:
    """What became of the edits of one recorded program.

    Attributes:
        task_id: of its task.
        tried: edits that were judged.
        found: the number of the first that passes all tests, from 1; 0 where none does.
        seconds: of the sandbox.
    """

    task_id: str
    tried: int = 0
    found: int = 0
    seconds: float = 0.0

    def mended(self, edits: int) -> bool:
        """Whether one of the first so many edits passes."""
        return 0 < self.found <= edits

    def cost(self, edits: int) -> tuple[int, float]:
        """Edits that are judged where so many may be, and their seconds in the sandbox."""
        tried = min(self.tried, edits)
        return tried, self.seconds * tried / self.tried if self.tried else 0.0


def read_edited(recorded: Sequence[Recorded], asked: SearchOptions) -> list[list[Edited]]:
    """What edits of each task's samples come to, in the bank's order.

    Raises:
        MissingDataError: there is no bank, or what is kept is of another one.
    """
    if asked.bank is None:
        raise MissingDataError("give a bank of recorded samples with --bank FILE")
    samples = list(read_samples(asked.bank, load_suite("humaneval")))
    draws = [draw for one in recorded for draw in one.draws]
    promising = [not one.passed and one.reward >= EDITS_FROM for one in draws]
    path = kept(asked.bank, f"edits{asked.free_edits}")
    if not path.is_file():
        report(f"judging edits of {sum(promising)} recorded programs, once: {path}")
        rows = anyio.run(_judge, samples, promising, asked)
        keep(path, (json.dumps(asdict(row)) for row in rows))
    rows = [Edited(**json.loads(line)) for line in path.read_text().splitlines()]
    if [one.task_id for one in rows] != [sample.task.id for sample in samples]:
        raise MissingDataError(f"{path} holds no edits of this bank: remove it")
    found: dict[str, list[Edited]] = {}
    for row in rows:
        found.setdefault(row.task_id, []).append(row)
    return [found[one.task_id] for one in recorded]


def mended(recorded: Recorded, edited: Sequence[Edited], edits: int) -> Recorded:
    """The same task where a draw counts as passed if one of its first so many edits passes."""
    draws = tuple(
        draw.model_copy(update={"passed": draw.passed or one.mended(edits)})
        for draw, one in zip(recorded.draws, edited, strict=True)
    )
    return recorded.model_copy(update={"draws": draws})


async def _judge(
    samples: Sequence[Sample], promising: Sequence[bool], asked: SearchOptions
) -> list[Edited]:
    tasks = {sample.task.id: sample.task for sample in samples}
    known: dict[tuple[str, str], Edited] = {}
    keys = [(one.task.id, program_identity(one.program, "python")) for one in samples]
    first = {key: place for place, key in reversed(list(enumerate(keys))) if promising[place]}
    waiting = sorted(first.values(), reverse=True)
    settings = asked.settings(cpu_seconds=_CPU_SECONDS, cache=False)
    async with open_bench(settings, list(tasks.values())) as bench:

        async def worker() -> None:
            while waiting:
                place = waiting.pop()
                known[keys[place]] = await _edit(bench, samples[place], asked.free_edits)
                if len(waiting) % _EVERY == 0:
                    report(f"  {len(waiting)} of {len(first)} left")

        async with anyio.create_task_group() as group:
            for _ in range(bench.sandbox.slots + 1):
                group.start_soon(worker)
    return [
        known[key] if hopeful else Edited(key[0])
        for key, hopeful in zip(keys, promising, strict=True)
    ]


async def _edit(bench: Bench, sample: Sample, most: int) -> Edited:
    given = sample.task.given()
    verdict = await bench.verifier.verify(given, sample.program)
    found = await mend(bench.verifier, given, sample.program, verdict, most)
    return Edited(sample.task.id, found.tried, found.found, found.seconds)
