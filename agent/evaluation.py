"""Runs a suite: tasks side by side, hidden tests for scoring only, numbers with intervals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict

from agent import events
from agent.accounts import Entry, table
from agent.budget import Ledger
from agent.incidents import Incident
from agent.loop import first_error
from agent.results import Candidate, SearchResult
from agent.routing.pool import Pool
from agent.routing.route import Route
from agent.run import Run
from agent.session import Bench, make_profile, make_searcher, task_budget
from agent.settings import Settings
from agent.statistics import mean_interval, pass_at_ks, usual_ks, wilson_interval
from agent.tiers import Tier, cost_of
from sandbox.errors import SandboxError
from sandbox.outcome import Outcome
from tasks.model import Protocol, Task
from verifiers.scorer import HiddenScorer
from verifiers.verdict import Verdict


class ProtocolError(Exception):
    """The suite can't be run under the protocol asked for. One line."""


class TaskScore(BaseModel):
    """One task of an evaluation.

    Attributes:
        task_id: of the task.
        program: the chosen program.
        visible_passed: whether it passed what the search could see.
        right: whether it passed the tests that decide the score.
        outcome: of that verdict; empty if nothing was drawn.
        samples: completions drawn.
        independent: whether each candidate was drawn afresh, so that none depends on another.
        duplicates: candidates that repeated an earlier one and were not run again.
        right_samples: of the candidates, how many pass the tests that decide the score.
        tokens_in: of all samples.
        tokens_out: of all samples.
        cost: dollars.
        wall_seconds: from the search's beginning to its end.
        ledger: what was spent on which model.
        stopped: why the search ended.
        detail: of the verdict, or of the stop.
        incidents: programs that passed in the search and not again; none of them is `program`.
        routes: the tiers that the task stood in, from the first, each with its reason.
    """

    model_config = ConfigDict(frozen=True)

    task_id: str
    program: str = ""
    visible_passed: bool = False
    right: bool = False
    outcome: str = ""
    reward: float = 0.0
    samples: int = 0
    independent: bool = True
    duplicates: int = 0
    right_samples: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    wall_seconds: float = 0.0
    ledger: tuple[Entry, ...] = ()
    stopped: str = ""
    detail: str = ""
    incidents: tuple[Incident, ...] = ()
    routes: tuple[Route, ...] = ()


class EvalReport(BaseModel):
    """An evaluation's numbers; shares are fractions of 1.

    Attributes:
        tasks: how many were run.
        solved: how many of the chosen programs pass the tests that decide the score.
        protocol: which tests the search could see.
        pass_at_1: `solved` as a share, of the chosen program.
        pass_at_1_interval: Wilson's 95 % interval of it.
        pass_at_k: unbiased, over all samples drawn; only where every task drew its full number,
            and all of them afresh.
        pass_at_k_interval: bootstrap 95 % intervals over tasks.
        oracle: share of tasks with at least one right sample among those drawn.
        visible_passed: share of chosen programs that pass what the search could see.
        mean_samples: completions drawn a task.
        duplicates: candidates that repeated an earlier one of their task and were not run again.
        tokens_in: in all.
        tokens_out: in all.
        cost: dollars; `None` where no price is known.
        seconds: wall time.
        ledger: what was spent by strategy, tier and model; `scores` has each task's.
        isolation: the level reached.
        trust: what the verdicts are worth.
        stopped: tasks by why their search ended.
        lost: calls that were under way when an earlier start was killed, as `task#index`.
        replayed: samples taken from the journal.
        incidents: how many programs passed in the search and not again; `scores` has them.
        run: the run's id.
        scores: each task.
    """

    model_config = ConfigDict(frozen=True)

    tasks: int
    solved: int
    protocol: Protocol
    pass_at_1: float
    pass_at_1_interval: tuple[float, float]
    pass_at_k: dict[str, float]
    pass_at_k_interval: dict[str, tuple[float, float]]
    oracle: float
    visible_passed: float
    mean_samples: float
    mean_samples_interval: tuple[float, float]
    duplicates: int
    tokens_in: int
    tokens_out: int
    tokens_estimated: bool
    cost: float | None
    seconds: float
    ledger: tuple[Entry, ...]
    isolation: str
    reduced: bool
    trust: str
    stopped: dict[str, int]
    lost: tuple[str, ...]
    replayed: int
    incidents: int
    run: str
    scores: tuple[TaskScore, ...]

    def summary(self) -> dict[str, Any]:
        """All but the single tasks, JSON-able."""
        return self.model_dump(mode="json", exclude={"scores"})


ScoreListener = Callable[[TaskScore], None]


def choose_protocol(asked: Protocol | None, refused: str, tasks: Sequence[Task]) -> Protocol:
    """The protocol to run under: `hidden` by default where there are hidden tests.

    Args:
        asked: what the user wants, or `None`.
        refused: why the suite as a whole has nothing hidden, or empty.
        tasks: to be run.

    Raises:
        ProtocolError: `hidden` was asked for and makes no sense.
    """
    hidden = not refused and any(task.has_hidden for task in tasks)
    if asked is None:
        return Protocol.HIDDEN if hidden else Protocol.GIVEN
    if asked is Protocol.HIDDEN and not hidden:
        reason = refused or "there are no hidden tests"
        raise ProtocolError(f"protocol hidden can't be used: {reason}; use --protocol given")
    return asked


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """One evaluation under way.

    Attributes:
        settings: in force.
        protocol: which tests the search sees.
        bench: an open sandbox with its verifier.
        tiers: what is asked, cheap first, with prices where they are known.
        run: where it is recorded.
        listener: told what happens in the searches.
        scored: told each task's score.
    """

    settings: Settings
    protocol: Protocol
    bench: Bench
    tiers: Sequence[Tier]
    run: Run
    listener: events.Listener = events.ignore
    scored: ScoreListener = lambda _score: None

    async def evaluate(self, tasks: Sequence[Task]) -> EvalReport:
        """Runs the tasks and reports.

        Raises:
            ModelError: the model can't be used.
            SandboxError: the sandbox can't be had.
        """
        began = time.monotonic()
        ledger = Ledger(self.settings.budget)
        lost = tuple(f"{task}#{index}" for task, index in self.run.journal.lost())
        replayed = 0

        def count(event: events.Event) -> None:
            nonlocal replayed
            replayed += isinstance(event, events.SampleReceived) and event.replayed
            self.listener(event)

        self.run.note_sandbox(self.bench.sandbox)
        scores: dict[str, TaskScore] = {}
        waiting = list(reversed(tasks))
        pool = self._pool(len(tasks))

        async def worker() -> None:
            while waiting:
                task = waiting.pop()
                scores[task.id] = await self._one(task, ledger, count, pool)
                self.scored(scores[task.id])

        try:
            async with anyio.create_task_group() as group:
                # with a pool all tasks have to be there, for the best of them to be found
                at_a_time = (
                    len(tasks)
                    if pool is not None
                    else self.settings.tasks_at_a_time(self.bench.sandbox.slots)
                )
                for _ in range(min(at_a_time, len(tasks))):
                    group.start_soon(worker)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        ordered = [scores[task.id] for task in tasks]
        report = self._report(ordered, ledger, time.monotonic() - began, lost, replayed)
        self._write(report, tasks)
        return report

    def _pool(self, tasks: int) -> Pool | None:
        """The samples that all tasks share, where the settings say so."""
        if self.settings.pool is None:
            return None
        return Pool(
            samples=self.settings.pool,
            tasks=tasks,
            at_a_time=self.settings.tasks_at_a_time(self.bench.sandbox.slots),
            floor=make_profile(self.settings).pool_floor,
        )

    async def _one(
        self, task: Task, ledger: Ledger, listener: events.Listener, pool: Pool | None
    ) -> TaskScore:
        public = task.public() if self.protocol is Protocol.HIDDEN else task.given()
        own = Ledger(task_budget(self.settings, public), ledger)
        searcher = make_searcher(
            self.settings,
            self.bench,
            self.tiers,
            journal=self.run.journal,
            listener=listener,
            ledger=own,
            task=public,
            concurrency=1,  # tasks run side by side, so none of them draws ahead of need
            pool=pool,
        )
        result = await searcher.search(public)
        return await self._score(task, result, own)

    async def _score(self, task: Task, result: SearchResult, ledger: Ledger) -> TaskScore:
        """The task's score, taken after its search has ended."""
        rights: list[bool] = []
        chosen_verdict = result.chosen.verdict if result.chosen else None
        if self.protocol is Protocol.HIDDEN:
            verdicts = await self._hidden(task, result.candidates)
            rights = [verdicts[one.program].passed for one in result.candidates]
            if result.chosen is not None:
                chosen_verdict = verdicts[result.chosen.program]
        else:
            rights = [one.verdict.passed for one in result.candidates]
        spent = ledger.spent
        return TaskScore(
            task_id=task.id,
            program=result.chosen.program if result.chosen else "",
            visible_passed=result.passed,
            right=chosen_verdict is not None and chosen_verdict.passed,
            outcome=str(chosen_verdict.outcome) if chosen_verdict else "",
            reward=chosen_verdict.reward if chosen_verdict else 0.0,
            samples=spent.samples,
            independent=not result.pieces
            and all(one.kind == "sample" for one in result.candidates),
            duplicates=result.duplicates,
            right_samples=sum(rights),
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            cost=spent.cost,
            wall_seconds=ledger.wall_seconds,
            ledger=ledger.entries,
            stopped=result.stopped,
            detail=result.detail or (chosen_verdict.detail if chosen_verdict else ""),
            incidents=tuple(result.incidents),
            routes=tuple(result.routes),
        )

    async def _hidden(self, task: Task, candidates: Sequence[Candidate]) -> dict[str, Verdict]:
        """Verdicts by the hidden tests, one for each distinct program."""
        scorer = HiddenScorer(self.bench.verifier)
        verdicts: dict[str, Verdict] = {}
        for program in dict.fromkeys(one.program for one in candidates):
            verdicts[program] = verdict = await scorer.score(task, program)
            if verdict.outcome is Outcome.INFRA:
                raise SandboxError(f"the sandbox failed three times: {verdict.detail}")
        return verdicts

    def _report(
        self,
        scores: Sequence[TaskScore],
        ledger: Ledger,
        seconds: float,
        lost: tuple[str, ...],
        replayed: int,
    ) -> EvalReport:
        total = len(scores)
        solved = sum(score.right for score in scores)
        counts = [(score.samples, score.right_samples) for score in scores]
        complete = self.settings.exhaustive or self.settings.n == 1
        # repairs and the like depend on what came before, and pass@k is about independent samples
        complete &= all(score.independent for score in scores)
        drawn = min((drawn for drawn, _ in counts), default=0)
        values, intervals = pass_at_ks(counts, usual_ks(drawn) if complete else [])
        stopped: dict[str, int] = {}
        for score in scores:
            stopped[score.stopped] = stopped.get(score.stopped, 0) + 1
        samples = [float(score.samples) for score in scores]
        spent = ledger.spent
        return EvalReport(
            tasks=total,
            solved=solved,
            protocol=self.protocol,
            pass_at_1=solved / total if total else 0.0,
            pass_at_1_interval=wilson_interval(solved, total),
            pass_at_k=values,
            pass_at_k_interval=intervals,
            oracle=sum(score.right_samples > 0 for score in scores) / total if total else 0.0,
            visible_passed=sum(score.visible_passed for score in scores) / max(1, total),
            mean_samples=sum(samples) / max(1, total),
            mean_samples_interval=mean_interval(samples),
            duplicates=sum(score.duplicates for score in scores),
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            tokens_estimated=spent.estimated,
            cost=cost_of(ledger, self.tiers),
            seconds=seconds,
            ledger=table(ledger.entries, ("strategy", "tier", "model")),
            isolation=self.bench.sandbox.level,
            reduced=self.bench.sandbox.reduced,
            trust="isolated",
            stopped=stopped,
            lost=lost,
            replayed=replayed,
            incidents=sum(len(score.incidents) for score in scores),
            run=self.run.id,
            scores=tuple(scores),
        )

    def _write(self, report: EvalReport, tasks: Sequence[Task]) -> None:
        rows = [
            json.dumps(
                {
                    "task_id": score.task_id,
                    "solution": score.program,
                    "completion": as_completion(task.public().prompt, score.program),
                }
            )
            for task, score in zip(tasks, report.scores, strict=True)
        ]
        self.run.write("samples.jsonl", "".join(f"{row}\n" for row in rows))
        text = json.dumps(
            report.model_dump(mode="json"), indent=2
        )  # a program may be no valid UTF-8
        self.run.write("report.json", text + "\n")


def as_completion(prompt: str, program: str) -> str:
    """A whole program as text that continues its prompt, as HumanEval's own harness wants it.

    Where the program doesn't begin with the prompt, the prompt's stub gets an empty body and is
    then defined again.
    """
    if program.startswith(prompt):
        return program[len(prompt) :]
    return f"    pass\n\n\n{program}"
