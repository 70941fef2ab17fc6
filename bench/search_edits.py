"""The free proposer on failing programs of a bank: repaired, accepted though wrong, broken.

Of the bank's programs that fail a task's official tests, those are taken that pass at least half
of the examples in the docstring and not all of them. Their edits are tried in order on the
examples alone; the first that passes all of them is chosen, as a search would. The official
tests then say what it is worth:

- *repaired*: it passes them;
- *accepted though wrong*: it passes the examples and fails the official tests, as the program did;
- *none found*: no edit passes the examples.

A search edits whatever fails an example. So a program can be *broken* that passes the official
tests and fails an example (some examples are wrong): its chosen edit fails the official tests.
Such programs are looked for among the bank's right ones. No model is asked.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import anyio

from agent.judging import program_identity
from agent.search.edits.propose import edits_of
from agent.search.edits.symptoms import symptoms
from agent.session import Bench, open_bench
from agent.statistics import wilson_interval
from bench.search_bank import Recorded, of_part, read_bank
from bench.search_common import SearchOptions, Section, report
from tasks.model import Task
from verifiers.verdict import Verdict

_LEAST_REWARD = 0.5
_MARKS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_AT_A_TIME = 32
_CPU_SECONDS = 1.0


@dataclass(slots=True)
class Edited:
    """One program and what became of its edits.

    Attributes:
        task_id: of its task.
        right: whether it passes the official tests as it is.
        tried: edits judged by the examples.
        found: number of the chosen edit, from 1; 0 where there is none.
        kind: of the chosen edit.
        repaired: whether the chosen edit passes the official tests.
        seconds: of the sandbox.
        kinds: of all edits that were judged: kind, passes the examples, passes the official tests.
    """

    task_id: str
    right: bool
    tried: int = 0
    found: int = 0
    kind: str = ""
    repaired: bool = False
    seconds: float = 0.0
    kinds: list[tuple[str, bool, bool]] = field(default_factory=list)


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    bank = of_part(read_bank(asked), asked.part)
    return anyio.run(_measured, asked, bank)


async def _measured(asked: SearchOptions, bank: list[Recorded]) -> Section:
    tasks = [one.task for one in bank]
    settings = asked.settings(cpu_seconds=_CPU_SECONDS, cache=False)
    async with open_bench(settings, tasks) as opened:
        measure = _Measure(asked, opened)
        failing = await measure.nearly_right(_programs(bank, right=False, seed=asked.seed))
        looked_at = measure.looked_at
        report(f"editing {len(failing)} programs, found among {looked_at} failing ones")
        edited = await measure.edit(failing, right=False)
        right = await measure.nearly_right(_programs(bank, right=True, seed=asked.seed))
        right_looked_at = measure.looked_at
        report(f"editing {len(right)} programs, found among {right_looked_at} right ones")
        spoilt = await measure.edit(right, right=True)
    found = Found(edited, looked_at, spoilt, right_looked_at)
    return Section(_lines(found, asked), found.data())


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured: failing programs, and right ones that fail an example."""

    failing: list[Edited]
    failing_looked_at: int
    right: list[Edited]
    right_looked_at: int

    def data(self) -> dict[str, Any]:
        """As JSON."""
        rows = [
            {name: value for name, value in asdict(one).items() if name != "kinds"}
            for one in (*self.failing, *self.right)
        ]
        return {
            "failing_looked_at": self.failing_looked_at,
            "right_looked_at": self.right_looked_at,
            "repaired": sum(one.repaired for one in self.failing),
            "accepted_wrong": sum(bool(one.found) and not one.repaired for one in self.failing),
            "broken": sum(bool(one.found) and not one.repaired for one in self.right),
            "programs": rows,
            "kinds": {name: list(count) for name, count in by_kind(self.failing).items()},
        }


def _programs(bank: Sequence[Recorded], *, right: bool, seed: int) -> list[tuple[Task, str]]:
    """The bank's distinct programs of one kind, shuffled."""
    found: dict[tuple[str, str], tuple[Task, str]] = {}
    for recorded in bank:
        for program, passes in zip(recorded.programs, recorded.right, strict=True):
            if passes == right:
                key = recorded.task.id, program_identity(program, "python")
                found.setdefault(key, (recorded.task, program))
    programs = list(found.values())
    random.Random(seed).shuffle(programs)
    return programs


class _Measure:
    """Judges and edits programs in one sandbox."""

    def __init__(self, asked: SearchOptions, bench: Bench) -> None:
        self._asked = asked
        self._bench = bench
        self.looked_at = 0

    async def nearly_right(
        self, programs: list[tuple[Task, str]]
    ) -> list[tuple[Task, str, Verdict]]:
        """Those that pass half of the examples and not all, until there are enough."""
        chosen: list[tuple[Task, str, Verdict]] = []
        self.looked_at = 0
        while len(chosen) < self._asked.candidates and self.looked_at < len(programs):
            batch = programs[self.looked_at : self.looked_at + _AT_A_TIME]
            verdicts: dict[int, Verdict] = {}

            async def judge(number: int, task: Task, program: str) -> None:
                verdicts[number] = await self._visible(task, program)  # noqa: B023

            async with anyio.create_task_group() as group:
                for number, (task, program) in enumerate(batch):
                    group.start_soon(judge, number, task, program)
            for number, (task, program) in enumerate(batch):
                verdict = verdicts[number]
                self.looked_at += 1
                if not verdict.passed and verdict.reward >= _LEAST_REWARD:
                    chosen.append((task, program, verdict))
                if len(chosen) == self._asked.candidates:
                    break
        return chosen

    async def edit(self, found: list[tuple[Task, str, Verdict]], *, right: bool) -> list[Edited]:
        """Tries the edits of each, several programs side by side."""
        edited = [Edited(task.id, right) for task, _, _ in found]
        waiting = list(enumerate(found))[::-1]

        async def worker() -> None:
            while waiting:
                number, (task, program, verdict) = waiting.pop()
                await self._edit_one(edited[number], task, program, verdict)
                if len(waiting) % 25 == 0:
                    report(f"  {len(waiting)} left")

        async with anyio.create_task_group() as group:
            for _ in range(self._bench.sandbox.slots + 1):
                group.start_soon(worker)
        return edited

    async def _edit_one(self, one: Edited, task: Task, program: str, verdict: Verdict) -> None:
        public = task.public()
        edits = edits_of(program, symptoms(verdict), public.entry_point, public.prompt)
        for number in range(self._asked.edits if edits is not None else 0):
            made = edits.get(number) if edits is not None else None
            if made is None:
                return
            change, changed = made
            seen = await self._visible(task, changed)
            if not one.found:
                one.tried += 1
                one.seconds += seen.seconds
            official = seen.passed and await self._official(task, changed)
            one.kinds.append((change.kind, seen.passed, official))
            if seen.passed and not one.found:
                one.found, one.kind, one.repaired = number + 1, change.kind, official
                if one.right or not self._asked.all_edits:
                    return

    async def _visible(self, task: Task, program: str) -> Verdict:
        return await self._bench.verifier.verify(task.public(), program)

    async def _official(self, task: Task, program: str) -> bool:
        """By the official tests; nothing of it goes back into the choice."""
        verifier = self._bench.verifier
        return (await verifier.verify(task.public(), program, tests=task.scoring())).passed


def by_kind(edited: Sequence[Edited]) -> dict[str, tuple[int, int, int]]:
    """Edits judged, that pass the examples, that pass the official tests, by kind."""
    tried: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for one in edited:
        for kind, seen, official in one.kinds:
            tried[kind] += 1
            passed[kind] += seen
            right[kind] += official
    return {kind: (tried[kind], passed[kind], right[kind]) for kind in sorted(tried)}


def _lines(found: Found, asked: SearchOptions) -> list[str]:
    failing, right = found.failing, found.right
    total = len(failing)
    repaired = sum(one.repaired for one in failing)
    wrong = sum(bool(one.found) and not one.repaired for one in failing)
    seconds = sum(one.seconds for one in failing) / max(1, total)
    tried = sum(one.tried for one in failing) / max(1, total)
    lines = [
        f"Free edits of {total} failing programs that pass half of the docstring's examples,",
        f"of {len({one.task_id for one in failing})} tasks ({asked.part}); at most {asked.edits}"
        " edits each, chosen by the examples alone.",
        f"They were found among {found.failing_looked_at} distinct failing programs.",
        "",
        f"  repaired               {_share(repaired, total)}",
        f"  accepted though wrong  {_share(wrong, total)}",
        f"  none found             {_share(total - repaired - wrong, total)}",
        f"  tokens 0; {tried:.1f} edits judged and {seconds:.2f} s of the sandbox a program",
        "",
        "  by how many edits may be tried: repaired, accepted though wrong",
    ]
    for mark in _MARKS:
        if mark <= asked.edits:
            early = [one for one in failing if 0 < one.found <= mark]
            good = sum(one.repaired for one in early)
            bad = (len(early) - good) / max(1, total)
            lines.append(f"  {mark:>5}  {good / max(1, total):6.1%}  {bad:6.1%}")
    changed = [one for one in right if one.found]
    broken = sum(not one.repaired for one in changed)
    lines += [
        "",
        f"Of {found.right_looked_at} distinct right programs {len(right)} pass half of the examples"
        f" and not all ({len({one.task_id for one in right})} tasks); an edit passes all for"
        f" {len(changed)}, and {broken} of these fail the official tests.",
        f"  broken                 {_share(broken, found.right_looked_at)} of the right programs",
    ]
    if asked.all_edits:
        lines += ["", "by kind: edits judged, pass the examples, pass the official tests"]
        for kind, counts in by_kind(failing).items():
            lines.append(f"  {kind:28}" + "".join(f"{count:>8}" for count in counts))
    return lines


def _share(count: int, total: int) -> str:
    low, high = wilson_interval(count, total)
    return f"{count / max(1, total):6.1%}  [{low:.1%}, {high:.1%}]  ({count} of {total})"
