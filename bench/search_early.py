"""Speculative rejection: the tokens that it saves, and that it costs no solved task.

On a bank, each recorded sample is fed to the watcher a few characters at a time, as text that goes
on from its prompt and as a block of a chat answer. What would have been stopped is judged whole and
as far as it had come: no pass may be lost. Live, the same seeds are drawn twice, with and without
early stops.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from agent.drawing import Sampling
from agent.judging import program_identity
from agent.llm.base import Watch
from agent.llm.early import Watcher
from agent.llm.watching import watch_for
from agent.results import Candidate
from agent.search.best_of_n import BestOfN
from agent.session import Bench, open_bench
from agent.tiers import open_tiers
from bench.search_common import MissingDataError, Searched, SearchOptions, Section, search_all
from tasks import load_suite
from tasks.model import PublicTask, Task
from verifiers.extract import extract_program

_PIECE = 4
"""Characters at a time: about a token."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the watcher would have done with a bank.

    Attributes:
        form: how the samples were fed: `continuation` or `chat`.
        samples: fed.
        stopped: by reason.
        passing: of those, how many pass all tests when they are judged whole.
        lost: of these, how many don't as far as they had come when they were stopped.
        saved: share of all characters that would not have been generated.
        cpu_ms: of the watcher, a sample.
    """

    form: str
    samples: int
    stopped: dict[str, int]
    passing: int
    lost: int
    saved: float
    cpu_ms: float


def run_bank(asked: SearchOptions) -> Section:
    """The section on recorded samples.

    Raises:
        MissingDataError: no bank was given.
    """
    if asked.bank is None or not asked.bank.is_file():
        raise MissingDataError("give the recorded samples with --bank FILE")
    found = anyio.run(_bank, asked, asked.bank)
    lines = ["Early stops on recorded samples; what was stopped is judged whole."]
    lines += [
        f"  as {one.form}: {one.samples} samples, stopped "
        + (", ".join(f"{count} for {name}" for name, count in one.stopped.items()) or "none")
        + f"; of them {one.passing} pass whole, {one.lost} of these not as stopped;"
        f" {one.saved:.1%} of all characters saved; {one.cpu_ms:.2f} ms of cpu a sample"
        for one in found
    ]
    return Section(lines, [asdict(one) for one in found])


async def _bank(asked: SearchOptions, path: Path) -> list[Replayed]:
    suite = {task.id: task.given() for task in load_suite("humaneval")}
    found = []
    async with open_bench(asked.settings(), list(load_suite("humaneval"))) as bench:
        for form in ("continuation", "chat"):
            reasons: Counter[str] = Counter()
            samples = passing = lost = chars = saved = 0
            cpu = 0.0
            for task, text in _samples(path, suite):
                began = time.process_time()
                fed, watch = _as(form, task, text)
                reason, seen = _feed(watch, fed)
                cpu += time.process_time() - began
                samples, chars = samples + 1, chars + len(text)
                if reason:
                    reasons[reason] += 1
                    saved += len(fed) - seen
                    verify = bench.verifier.verify
                    passed = (await verify(task, task.prompt + text)).passed
                    passing += passed
                    if passed:
                        kept = _program(form, task, fed[:seen])
                        lost += not (await verify(task, kept)).passed
            each = 1000 * cpu / samples
            found.append(Replayed(form, samples, dict(reasons), passing, lost, saved / chars, each))
    return found


def _samples(path: Path, suite: dict[str, PublicTask]) -> Iterator[tuple[PublicTask, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            for text in row["samples"]:
                yield suite[row["task_id"]], text


def _as(form: str, task: PublicTask, text: str) -> tuple[str, Watch]:
    if form == "continuation":
        return text, Watch(entry_point=task.entry_point, prefix=task.prompt)
    return f"```python\n{task.prompt}{text}\n```\n", watch_for(task)


def _program(form: str, task: PublicTask, text: str) -> str:
    """The program that a stopped answer is judged as."""
    return task.prompt + text if form == "continuation" else extract_program(text, task)


def _feed(watch: Watch, text: str) -> tuple[str, int]:
    """Why and where an answer would have been stopped; empty, and its length, if it wouldn't."""
    watcher = Watcher(watch)
    for start in range(0, len(text), _PIECE):
        if reason := watcher.feed(text[start : start + _PIECE]):
            return str(reason), min(len(text), start + _PIECE)
    return "", len(text)


@dataclass(frozen=True, slots=True)
class Live:
    """One way of drawing.

    Attributes:
        early_stop: whether answers were stopped.
        tokens_out: of all samples.
        seconds: of the model's calls.
        stopped: by reason.
        passed: samples that pass all tests.
        solved: tasks with such a sample.
        reward: mean partial pass rate of the samples.
        samples: drawn and judged.
        duplicates: of them, those whose syntax tree had a verdict already, and got no run.
        twins_differ: of these, how many get another outcome when they are run after all.
    """

    early_stop: bool
    tokens_out: int
    seconds: float
    stopped: dict[str, int]
    passed: int
    solved: int
    reward: float
    samples: int
    duplicates: int
    twins_differ: int


def run_live(asked: SearchOptions) -> Section:
    """The section with a model that really runs."""
    tasks, arms, changed = anyio.run(_live, asked)
    with_stops, without = arms
    saved = 1 - with_stops.tokens_out / max(1, without.tokens_out)
    lines = [
        f"Early stops live: {asked.model}, {tasks} HumanEval tasks, {asked.samples} samples each,"
        f" at most {asked.max_tokens} tokens, the same seeds.",
        *(
            f"  {'with   ' if one.early_stop else 'without'}: {one.tokens_out} tokens out,"
            f" {one.seconds:.0f} s, {one.passed} samples pass, {one.solved} tasks solved, mean"
            f" reward {one.reward:.4f}, stopped: {one.stopped or 'none'}; {one.duplicates} of"
            f" {one.samples} verdicts saved as duplicates, {one.twins_differ} of which differ when"
            " they are run"
            for one in arms
        ),
        f"  saved: {saved:.1%} of the tokens; {len(changed)} samples got another reward"
        + (f": {', '.join(changed)}" if changed else ""),
    ]
    return Section(lines, {"arms": [asdict(one) for one in arms], "changed": changed})


async def _live(asked: SearchOptions) -> tuple[int, list[Live], list[str]]:
    # a small model solves hardly any but the tasks with the shortest prompts
    suite = sorted(load_suite("humaneval"), key=lambda task: len(task.public().prompt))
    tasks = suite[: asked.tasks]
    arms, found = [], []
    settings = asked.settings(model=asked.model, max_tokens=asked.max_tokens)
    async with open_tiers(settings) as tiers, open_bench(settings, tasks) as bench:
        for early in (True, False):
            sampling = Sampling(max_tokens=asked.max_tokens, early_stop=early)
            strategy = BestOfN(n=asked.samples, exhaustive=True)
            searched = await search_all(tasks, strategy, tiers, bench, sampling=sampling)
            found.append(searched)
            arms.append(_arm(early, searched, await _twins_differ(tasks, searched, bench)))
    return len(tasks), arms, _changed(tasks, *found)


async def _twins_differ(tasks: Sequence[Task], searched: Searched, bench: Bench) -> int:
    """Runs each duplicate after all, and counts those that end otherwise than their twin."""
    differ = 0
    for task in tasks:
        seen: set[str] = set()
        for one in searched.results[task.id].candidates:
            identity = program_identity(one.program, "python")
            if identity in seen:
                verdict = await bench.verifier.verify(task.given(), one.program, cache=False)
                differ += verdict.outcome is not one.verdict.outcome
            seen.add(identity)
    return differ


def _arm(early: bool, searched: Searched, twins_differ: int) -> Live:
    drawn = _drawn(searched)
    spent = searched.ledger.spent
    return Live(
        early,
        spent.tokens_out,
        spent.model_seconds,
        dict(Counter(one.completion.reason for one in drawn if one.completion.reason)),
        sum(one.verdict.passed for one in drawn),
        len(searched.solved),
        sum(one.verdict.reward for one in drawn) / max(1, len(drawn)),
        len(drawn),
        sum(result.duplicates for result in searched.results.values()),
        twins_differ,
    )


def _drawn(searched: Searched) -> list[Candidate]:
    return [one for result in searched.results.values() for one in result.candidates]


def _changed(tasks: Sequence[Task], one: Searched, other: Searched) -> list[str]:
    """The samples whose reward depends on whether they were stopped."""
    return [
        f"{task.id}#{first.index}"
        for task in tasks
        for first, second in zip(
            one.results[task.id].candidates, other.results[task.id].candidates, strict=True
        )
        if first.verdict.reward != second.verdict.reward
    ]
