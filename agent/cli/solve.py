"""`regreen solve`: a task in, a proven program out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.budget import Ledger
from agent.cli import interrupt, options
from agent.cli.exits import Exit, OutputError, UsageError
from agent.cli.show import Show
from agent.run import Run
from agent.session import open_bench, open_model
from agent.settings import Settings, load_settings
from agent.solving import NoTestsError, Solution, solve_task
from tasks import load_tasks
from tasks.model import Task

Reference = Annotated[
    str, typer.Argument(help="A folder, a stub, a suite, or SUITE/TASK.", metavar="TASK")
]
TestFiles = Annotated[
    list[Path] | None,
    typer.Option("--tests", help="Test file for a stub; may be repeated."),
]
EntryPoint = Annotated[
    str | None, typer.Option(help="What to write, where a stub has several functions.")
]


def solve(
    task: Reference,
    tests: TestFiles = None,
    entry_point: EntryPoint = None,
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_tokens: options.MaxTokens = None,
    model_timeout: options.ModelTimeout = None,
    strategy: options.Strategy = None,
    n: options.Samples = None,
    exhaustive: options.Exhaustive = None,
    seed: options.Seed = None,
    concurrency: options.Concurrency = None,
    confirm: options.Confirm = None,
    budget_samples: options.BudgetSamples = None,
    budget_tokens: options.BudgetTokens = None,
    max_cost: options.MaxCost = None,
    max_seconds: options.MaxSeconds = None,
    max_sandbox_seconds: options.MaxSandboxSeconds = None,
    sandbox: options.Sandbox = None,
    isolation: options.IsolationLevel = None,
    slots: options.Slots = None,
    image: options.Image = None,
    runtime: options.Runtime = None,
    allow_reduced_isolation: options.AllowReduced = None,
    cpu_seconds: options.CpuSeconds = None,
    wall_seconds: options.WallSeconds = None,
    memory_mb: options.MemoryMb = None,
    cache: options.Cache = None,
    runs: options.Runs = None,
    resume: options.Resume = None,
    output: options.Output = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Search for a program that passes all tests of TASK, and print it."""
    flags = {name: value for name, value in locals().items() if name in Settings.model_fields}
    settings = load_settings(flags)
    found = load_tasks(task, tests=tuple(tests or ()), entry_point=entry_point or "")
    for one in found:
        if not one.all_tests():
            raise NoTestsError(
                f"{one.id} has no tests to verify anything by: give some with --tests"
            )
    if output is not None and len(found) > 1 and output.is_file():
        raise UsageError(f"--output {output} is a file, and there are {len(found)} tasks")
    what = {"command": "solve", "suite": task, "protocol": "given"}
    run = Run.resume(settings, what, resume) if resume else Run.start(settings, what)
    try:
        solutions = interrupt.run(
            lambda: _solve_all(found, settings, run, output, as_json=as_json, quiet=quiet)
        )
    finally:
        run.close()
    return _exit_code(solutions)


async def _solve_all(
    tasks: tuple[Task, ...],
    settings: Settings,
    run: Run,
    output: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> list[Solution]:
    solutions: list[Solution] = []
    ledger = Ledger(settings.budget)
    with Show(quiet=quiet) as show:
        show.step("starting the sandbox")
        async with open_model(settings, progress=show.downloaded) as (model, price):
            async with open_bench(settings, tasks) as bench:
                show.say(f"sandbox {bench.sandbox.level} ({bench.why}), model {settings.model}")
                for key in run.journal.lost():
                    show.say(f"lost: {key[0]} sample {key[1] + 1}, under way when the run ended")
                for task in tasks:
                    solution = await solve_task(
                        task,
                        settings,
                        bench=bench,
                        model=model,
                        price=price,
                        ledger=ledger,
                        journal=run.journal,
                        listener=show.event,
                        run=run.id,
                    )
                    solutions.append(solution)
                    show.solution(solution)
                    _give(solution, output, several=len(tasks) > 1, as_json=as_json)
        if len(tasks) > 1:
            solved = sum(solution.solved for solution in solutions)
            show.say(f"{solved} of {len(tasks)} tasks verified")
    return solutions


def _give(solution: Solution, output: Path | None, *, several: bool, as_json: bool) -> None:
    """The program, or all of the solution as JSON, where it was asked for."""
    program = solution.program if solution.program.endswith("\n") else solution.program + "\n"
    if output is not None and solution.program:
        path = output / f"{solution.task_id.replace('/', '_')}.py" if several else output
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(program, encoding="utf-8", errors="surrogatepass")
        except OSError as error:
            raise OutputError(f"can't write {path}: {error.strerror}") from None
    if as_json:
        print(json_line(solution), flush=True)
    elif output is None and solution.program:
        if several:
            print(f"# {solution.task_id}: {'verified' if solution.solved else 'NOT verified'}")
        print(program, flush=True, end="" if not several else "\n")


def json_line(solution: Solution) -> str:
    """One object on one line; ASCII, so that any program's text survives any terminal."""
    import json

    data: dict[str, Any] = solution.model_dump(mode="json")
    return json.dumps(data)


def _exit_code(solutions: list[Solution]) -> int:
    if all(solution.solved for solution in solutions):
        return Exit.VERIFIED
    if any(solution.stopped == "budget" for solution in solutions if not solution.solved):
        return Exit.BUDGET
    return Exit.NOT_VERIFIED
