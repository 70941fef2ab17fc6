"""Solves single tasks: a search, and what a person wants to know of its result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agent import events
from agent.accounts import Entry
from agent.budget import Ledger
from agent.incidents import Incident
from agent.journal import Journal
from agent.results import SearchResult
from agent.routing.route import Route
from agent.session import Bench, make_searcher, make_strategy, open_bench, task_budget
from agent.settings import Settings
from agent.tiers import Tier, cost_of, open_tiers
from tasks.model import Task
from verifiers.verdict import Verdict


class NoTestsError(Exception):
    """A task has no test to verify anything by. One line."""


class Solution(BaseModel):
    """What came of one task.

    Attributes:
        task_id: of the task.
        solved: whether the program passed every test of the request.
        program: the chosen program; empty if nothing was drawn, or nothing but incidents.
        verdict: on it, `None` if there is none.
        samples: completions drawn.
        duplicates: candidates that repeated an earlier one and were not run again.
        tokens_in: of all samples.
        tokens_out: of all samples.
        tokens_estimated: whether some token counts are estimates.
        cost: dollars; 0 for models that cost nothing, `None` where no price is known.
        seconds: of the model's calls, summed.
        sandbox_seconds: of the candidates' runs, summed.
        wall_seconds: from the search's beginning to its end.
        ledger: what was spent on which model, call by call summed up; `agent.accounts.table` makes
            other tables of it.
        stopped: why the search ended: `verified`, `drawn`, `given up`, `bank`, `budget`.
        detail: more about it, for `budget`.
        isolation: the level the candidates ran at.
        reduced: whether that is less than full isolation.
        incidents: programs that passed in the search and not again; none of them is `program`.
        routes: the tiers that the task stood in, from the first, each with its reason.
        confirmed: the level at which the program passed a second time, in a fresh sandbox; empty
            if it did not, or was not asked to.
        run: the run's id, if it was recorded.
    """

    model_config = ConfigDict(frozen=True)

    task_id: str
    solved: bool
    program: str
    verdict: Verdict | None
    samples: int
    duplicates: int
    tokens_in: int
    tokens_out: int
    tokens_estimated: bool
    cost: float | None
    seconds: float
    sandbox_seconds: float
    wall_seconds: float
    ledger: tuple[Entry, ...]
    stopped: str
    detail: str
    isolation: str
    reduced: bool
    incidents: tuple[Incident, ...] = ()
    routes: tuple[Route, ...] = ()
    confirmed: str = ""
    run: str = ""


async def solve_task(
    task: Task,
    settings: Settings,
    *,
    bench: Bench,
    tiers: Sequence[Tier],
    ledger: Ledger | None = None,
    journal: Journal | None = None,
    listener: events.Listener = events.ignore,
    run: str = "",
) -> Solution:
    """Searches for a program that passes all tests of a task (protocol `given`).

    Raises:
        NoTestsError: it has none.
        ModelError: the model can't be used.
        SandboxError: the sandbox can't be had.
    """
    public = task.given()
    if not public.visible:
        raise NoTestsError(
            f"{task.id} has no tests, so nothing can be verified: give some with --tests"
        )
    whole = Ledger(settings.budget) if ledger is None else ledger
    own = Ledger(task_budget(settings, public), whole)
    searcher = make_searcher(
        settings,
        bench,
        tiers,
        journal=journal,
        listener=listener,
        ledger=own,
        task=public,
        concurrency=settings.calls_at_a_time,
    )
    result = await searcher.search(public)
    return _solution(result, own, bench, tiers, run)


def _solution(
    result: SearchResult, ledger: Ledger, bench: Bench, tiers: Sequence[Tier], run: str
) -> Solution:
    spent = ledger.spent
    chosen = result.chosen
    return Solution(
        task_id=result.task_id,
        solved=result.passed,
        program=chosen.program if chosen else "",
        verdict=chosen.verdict if chosen else None,
        samples=spent.samples,
        duplicates=result.duplicates,
        tokens_in=spent.tokens_in,
        tokens_out=spent.tokens_out,
        tokens_estimated=spent.estimated,
        cost=cost_of(ledger, tiers),
        seconds=spent.model_seconds,
        sandbox_seconds=spent.sandbox_seconds,
        wall_seconds=ledger.wall_seconds,
        ledger=ledger.entries,
        stopped=result.stopped,
        detail=result.detail,
        isolation=bench.sandbox.level,
        reduced=bench.sandbox.reduced,
        incidents=tuple(result.incidents),
        routes=tuple(result.routes),
        confirmed=chosen.confirmed if chosen else "",
        run=run,
    )


async def solve_alone(
    task: Task, settings: Settings, *, listener: events.Listener = events.ignore
) -> Solution:
    """As `solve_task`, with a sandbox and a model opened for this task alone."""
    make_strategy(settings)  # a wrong word costs no wait
    async with open_tiers(settings) as tiers:
        async with open_bench(settings, [task]) as bench:
            return await solve_task(task, settings, bench=bench, tiers=tiers, listener=listener)


def read_task(reference: str | Path | Task, *, tests: tuple[Path, ...] = ()) -> Task:
    """The task that a caller means: a task as it is, or whatever `tasks.load_task` takes."""
    if isinstance(reference, Task):
        return reference
    from tasks import load_task

    return load_task(str(reference), tests=tests)
