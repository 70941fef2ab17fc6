"""The functions of the Python interface, synchronous and asynchronous."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from agent import events
from agent.evaluation import EvalReport, Evaluation, ProtocolError, choose_protocol
from agent.run import Run
from agent.session import make_strategy, open_bench
from agent.settings import load_settings
from agent.solving import Solution, read_task, solve_alone
from agent.tiers import open_tiers
from tasks import load_suite
from tasks.model import Protocol, Task


def solve(
    task: str | Path | Task,
    *,
    tests: Sequence[str | Path] = (),
    listener: events.Listener = events.ignore,
    **settings: Any,
) -> Solution:
    """Searches for a program that passes all tests of a task, and proves it in a sandbox.

    Args:
        task: a `tasks.Task`, or what `regreen solve` takes: a folder, a stub, `humaneval/...`.
        tests: test files, for a stub.
        listener: called with every `agent.events.Event`.
        settings: any field of `agent.Settings`, in place of environment and pyproject.toml.

    Returns:
        The solution; `solved` says whether it is proven.

    Raises:
        tasks.model.TaskError: the task can't be read.
        agent.settings.SettingsError: a setting is wrong.
        agent.llm.base.ModelError: the model can't be used.
        sandbox.errors.SandboxError: the sandbox can't be had.
    """

    async def run() -> Solution:
        return await asolve(task, tests=tests, listener=listener, **settings)

    return anyio.run(run)


async def asolve(
    task: str | Path | Task,
    *,
    tests: Sequence[str | Path] = (),
    listener: events.Listener = events.ignore,
    **settings: Any,
) -> Solution:
    """As `solve`, to be awaited."""
    found = read_task(task, tests=tuple(Path(path) for path in tests))
    return await solve_alone(found, load_settings(settings), listener=listener)


def evaluate(
    suite: str | Path,
    *,
    protocol: Protocol | str | None = None,
    task_ids: Sequence[str] = (),
    limit: int | None = None,
    resume: str | None = None,
    listener: events.Listener = events.ignore,
    **settings: Any,
) -> EvalReport:
    """Runs a suite and reports pass@k with intervals, tokens, cost and time.

    Args:
        suite: a suite's name or path.
        protocol: `given` or `hidden`; by default `hidden` where there are hidden tests.
        task_ids: only these tasks.
        limit: only so many of them.
        resume: a run's id, folder, or `last`, to go on with.
        listener: called with every `agent.events.Event`.
        settings: any field of `agent.Settings`.

    Raises:
        agent.evaluation.ProtocolError: the suite can't be run under that protocol.
        agent.run.RunError: the run to resume isn't there, or was another.
        tasks.model.TaskError, agent.settings.SettingsError, agent.llm.base.ModelError,
        sandbox.errors.SandboxError: as for `solve`.
    """

    async def run() -> EvalReport:
        return await aevaluate(
            suite,
            protocol=protocol,
            task_ids=task_ids,
            limit=limit,
            resume=resume,
            listener=listener,
            **settings,
        )

    return anyio.run(run)


async def aevaluate(
    suite: str | Path,
    *,
    protocol: Protocol | str | None = None,
    task_ids: Sequence[str] = (),
    limit: int | None = None,
    resume: str | None = None,
    listener: events.Listener = events.ignore,
    **settings: Any,
) -> EvalReport:
    """As `evaluate`, to be awaited."""
    chosen = load_settings(settings)
    make_strategy(chosen)  # a wrong word leaves no run behind
    loaded = load_suite(str(suite))
    tasks = [loaded.get(name) for name in task_ids] if task_ids else list(loaded)
    tasks = tasks[:limit]
    try:
        asked = Protocol(protocol) if protocol is not None else None
    except ValueError:
        known = " or ".join(Protocol)
        raise ProtocolError(f"unknown protocol {protocol!r}: give {known}") from None
    decided = choose_protocol(asked, loaded.hidden_refused, tasks)
    what = {"command": "eval", "suite": str(suite), "protocol": str(decided)}
    run = Run.open(chosen, what, resume)
    try:
        async with open_tiers(chosen) as tiers:
            async with open_bench(chosen, tasks) as bench:
                return await Evaluation(
                    settings=chosen,
                    protocol=decided,
                    bench=bench,
                    tiers=tiers,
                    run=run,
                    listener=listener,
                ).evaluate(tasks)
    finally:
        run.close()
