"""Verifies programs that exist already: no model, whole files of samples, order kept."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import anyio
from pydantic import BaseModel

from agent.incidents import Incident
from agent.session import Bench
from agent.statistics import pass_at_ks, usual_ks
from sandbox.outcome import Outcome
from tasks.model import Task, Tests, UnknownTaskError
from tasks.suite import Suite
from verifiers.extract import join_completion
from verifiers.verdict import Verdict

_AHEAD = 64
"""Programs that may be judged ahead of the one whose turn it is; bounds memory."""

_ROW_FORMS = '"task_id" and one of "solution", "completion" or "samples"'


class SamplesError(Exception):
    """A file of samples can't be used. One line with file and line number."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One program to verify.

    Attributes:
        task: what it is for.
        program: whole.
        echo: what its row said, to be said again beside the verdict.
    """

    task: Task
    program: str
    echo: dict[str, Any]


class VerifiedRow(BaseModel):
    """One program's verdict, as it is printed.

    `broken` says why its tests can't be used; `vouched` counts the tests that passed on nothing but
    the word of the candidate's own objects. `confirmed` says at which level it passed a second
    time, and `incident` that it did not.
    """

    task_id: str
    passed: bool
    outcome: Outcome
    reward: float
    tests: list[dict[str, Any]]
    trust: str
    isolation: str
    seconds: float
    detail: str = ""
    broken: str = ""
    vouched: int = 0
    confirmed: str = ""
    incident: Incident | None = None

    def record(self) -> dict[str, Any]:
        """The row as JSON; what is out of the ordinary only where there is something to say."""
        odd = {name for name in ("broken", "confirmed", "incident") if not getattr(self, name)}
        return self.model_dump(mode="json", exclude=odd)


@dataclass(slots=True)
class Tally:
    """What a batch amounts to; grows as rows come."""

    began: float = field(default_factory=time.monotonic)
    total: int = 0
    passed: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    by_task: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, task_id: str, verdict: Verdict) -> None:
        """Counts one verdict."""
        self.total += 1
        self.passed += verdict.passed
        name = str(verdict.outcome)
        self.outcomes[name] = self.outcomes.get(name, 0) + 1
        drawn, right = self.by_task.get(task_id, (0, 0))
        self.by_task[task_id] = drawn + 1, right + verdict.passed

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.monotonic() - self.began

    def pass_at_k(self) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        """Unbiased pass@k over the tasks seen, and its intervals, for what every task allows."""
        counts = list(self.by_task.values())
        fewest = min((drawn for drawn, _ in counts), default=0)
        return pass_at_ks(counts, usual_ks(fewest))

    def summary(self) -> dict[str, Any]:
        """The closing object of a batch."""
        seconds = self.seconds
        return {
            "total": self.total,
            "passed": self.passed,
            "outcomes": dict(sorted(self.outcomes.items())),
            "seconds": seconds,
            "candidates_per_second": self.total / seconds if seconds > 0 else 0.0,
            "pass_at_k": self.pass_at_k()[0],
        }


def single_solution(path: Path, suite: Suite) -> Sample:
    """The one program in a file, for a suite of one task.

    Raises:
        SamplesError: the file is empty or no text, or the suite has several tasks.
    """
    if len(suite) != 1:
        raise SamplesError(f"--solution goes with one task, and {suite.name} has {len(suite)}")
    try:
        program = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SamplesError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SamplesError(f"{path}: no text; a program in UTF-8 was expected") from None
    if not program.strip():
        raise SamplesError(f"{path}: empty; a whole program was expected")
    task = next(iter(suite))
    return Sample(task, program, {"task_id": task.id})


def read_samples(path: Path, suite: Suite) -> Iterator[Sample]:
    """The programs of a JSONL file, plain or gzipped, in order.

    Raises:
        SamplesError: a row is malformed, or names a task that the suite lacks.
    """
    empty = True
    with _open_rows(path) as rows:
        for number, line in enumerate(rows, start=1):
            if line.strip():
                empty = False
                yield from _row_samples(line, suite, path, number)
    if empty:
        raise SamplesError(f"{path}: empty; a row has {_ROW_FORMS}")


@contextmanager
def _open_rows(path: Path) -> Iterator[IO[str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8", errors="surrogatepass") as file:
            yield file
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise SamplesError(f"{path}: not readable as text: {error}") from None
    except OSError as error:
        raise SamplesError(f"{path}: {error.strerror}") from None


def _row_samples(line: str, suite: Suite, path: Path, number: int) -> Iterator[Sample]:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SamplesError(f"{where}: no JSON ({error}); a row has {_ROW_FORMS}") from None
    if not isinstance(row, dict) or not isinstance(row.get("task_id"), str):
        raise SamplesError(f"{where}: a row has {_ROW_FORMS}")
    try:
        task = suite.get(row["task_id"])
    except UnknownTaskError as error:
        raise SamplesError(f"{where}: {error}") from None
    programs = _programs(row, task, where)
    if "samples" not in row:
        yield Sample(task, programs[0], row)
        return
    own = {name: value for name, value in row.items() if name != "samples"}
    for place, program in enumerate(programs):
        yield Sample(task, program, {**own, "sample": place})


def _programs(row: dict[str, Any], task: Task, where: str) -> list[str]:
    if "samples" in row:
        prompt = row.get("prompt", task.public().prompt)
        samples = row["samples"]
        if not isinstance(samples, list) or not isinstance(prompt, str):
            raise SamplesError(f"{where}: samples is a list of texts, and prompt a text")
        programs = [join_completion(prompt, text) for text in samples if isinstance(text, str)]
        if len(programs) != len(samples):
            raise SamplesError(f"{where}: samples is a list of texts")
        return programs
    for name in ("solution", "completion"):
        if name in row:
            if not isinstance(row[name], str):
                raise SamplesError(f"{where}: {name} is a text")
            if name == "solution":
                return [row[name]]
            return [join_completion(task.public().prompt, row[name])]
    raise SamplesError(f"{where}: a row has {_ROW_FORMS}")


RowListener = Callable[[Sample, VerifiedRow], None]


async def verify_samples(
    samples: Iterator[Sample],
    bench: Bench,
    *,
    tally: Tally,
    give: RowListener,
    confirm: bool = False,
) -> None:
    """Judges all samples, as many at a time as the sandbox has slots.

    Args:
        samples: read as they are needed.
        bench: an open sandbox with its verifier.
        tally: counts every verdict.
        give: called with each row, in the samples' order.
        confirm: judge what passes again in a fresh sandbox, whose verdict then counts.

    Raises:
        SamplesError: a row can't be used; the rows before it have been given.
        SandboxError: the sandbox can't be had.
    """
    batch = _Batch(samples, bench, tally, give, confirm=confirm)
    async with anyio.create_task_group() as workers:
        for _ in range(bench.sandbox.slots + 1):
            workers.start_soon(batch.work)
    if batch.fault is not None:
        raise batch.fault


class _Batch:
    """Samples under way; rows wait here for their turn."""

    def __init__(
        self,
        samples: Iterator[Sample],
        bench: Bench,
        tally: Tally,
        give: RowListener,
        *,
        confirm: bool,
    ) -> None:
        self._queue = enumerate(samples)
        self._bench = bench
        self._tally = tally
        self._give = give
        self._room = anyio.Semaphore(_AHEAD)
        self._confirm = confirm
        self._verdicts: dict[int, tuple[Sample, list[Verdict]]] = {}
        self._tests: dict[str, tuple[Tests, ...]] = {}
        self._turn = 0
        self.fault: SamplesError | None = None

    async def work(self) -> None:
        """Judges one sample after the other until there is none left."""
        while True:
            await self._room.acquire()
            found = self._take()
            if found is None:
                self._room.release()
                return
            number, sample = found
            self._verdicts[number] = sample, await self._judge(sample)
            while self._turn in self._verdicts:
                done, verdicts = self._verdicts.pop(self._turn)
                number = self._turn
                self._turn += 1
                self._room.release()
                self._tally.add(done.task.id, verdicts[-1])
                self._give(done, row_of(done, verdicts, number))

    def _take(self) -> tuple[int, Sample] | None:
        if self.fault is not None:
            return None
        try:
            return next(self._queue, None)
        except SamplesError as error:
            self.fault = error
            return None

    async def _judge(self, sample: Sample) -> list[Verdict]:
        """The verdict on a program; of one that passed and is to be confirmed, both."""
        task = sample.task
        if task.id not in self._tests:
            self._tests[task.id] = task.all_tests()
        judge = partial(
            self._bench.verifier.verify,
            task.public(),
            sample.program,
            tests=self._tests[task.id],
        )
        verdict = await judge()
        again = self._confirm and verdict.passed
        return [verdict, await judge(fresh=True)] if again else [verdict]


def row_of(sample: Sample, verdicts: Sequence[Verdict], index: int = 0) -> VerifiedRow:
    """The row that is printed for a program.

    Args:
        sample: the program.
        verdicts: on it; the last one counts, and a fault of the sandbox is no disagreement.
        index: its number in the batch.
    """
    first, last = verdicts[0], verdicts[-1]
    confirmed = last.passed and len(verdicts) > 1
    verdict = first if confirmed else last
    incident = None
    if first.passed and not last.passed and last.outcome is not Outcome.INFRA:
        incident = Incident.between(
            first, last, task_id=sample.task.id, index=index, program=sample.program
        )
    return VerifiedRow(
        task_id=sample.task.id,
        passed=verdict.passed,
        outcome=verdict.outcome,
        reward=verdict.reward,
        tests=[
            {"name": test.name, "outcome": str(test.outcome), "detail": test.detail}
            for test in verdict.tests
        ],
        trust=verdict.trust,
        isolation=verdict.isolation,
        seconds=verdict.seconds,
        detail=verdict.detail,
        broken=verdict.broken,
        vouched=verdict.vouched,
        confirmed=last.isolation if confirmed else "",
        incident=incident,
    )
