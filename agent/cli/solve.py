"""`regreen solve`: a task in, a proven program out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.budget import Ledger
from agent.cli import interrupt, options
from agent.cli.exits import Exit, OutputError, UsageError
from agent.cli.flags import SEARCH_FLAGS, with_settings
from agent.cli.output import emit, emit_json, emit_program, file_names, short, write_program
from agent.cli.recording import recorded
from agent.cli.show import Show
from agent.run import Run
from agent.session import open_bench
from agent.settings import Settings
from agent.solving import NoTestsError, Solution, solve_task
from agent.tiers import open_tiers
from tasks import load_tasks
from tasks.model import Task

References = Annotated[
    list[str],
    typer.Argument(
        help="A folder, a stub, a suite, or SUITE/TASK; several run in one session.",
        metavar="TASK...",
    ),
]
TestFiles = Annotated[
    list[Path] | None,
    typer.Option("--tests", help="Test file for a stub; may be repeated."),
]
EntryPoint = Annotated[
    str | None, typer.Option(help="What to write, where a stub has several functions.")
]


@with_settings(SEARCH_FLAGS)
def solve(
    *,
    settings: Settings,
    task: References,
    tests: TestFiles = None,
    entry_point: EntryPoint = None,
    resume: options.Resume = None,
    output: options.Output = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Search for a program that passes all tests of TASK, and print it."""
    found = _tasks(task, tests=tuple(tests or ()), entry_point=entry_point or "")
    if output is not None and len(found) > 1 and output.exists() and not output.is_dir():
        raise UsageError(
            f"--output {output} is no folder, and there are {len(found)} tasks: name a folder"
        )
    if output is not None and len(found) == 1 and output.is_dir():
        raise UsageError(f"--output {output} is a folder: name a file")
    what = {"command": "solve", "suite": task if len(task) > 1 else task[0], "protocol": "given"}
    run = Run.open(settings, what, resume)
    with recorded(run):
        solutions = interrupt.run(
            lambda: _solve_all(found, settings, run, output, as_json=as_json, quiet=quiet)
        )
    return _exit_code(solutions)


def _tasks(references: list[str], *, tests: tuple[Path, ...], entry_point: str) -> list[Task]:
    """All tasks meant, each once; every one has tests."""
    found: dict[str, Task] = {}
    for reference in references:
        for task in load_tasks(reference, tests=tests, entry_point=entry_point):
            known = found.setdefault(task.id, task)
            if known.public().source != task.public().source:
                raise UsageError(
                    f"two tasks have the id {task.id!r} ({known.public().source}, "
                    f"{task.public().source}): solve one after the other"
                )
            if not task.all_tests():
                raise NoTestsError(
                    f"{task.id} has no tests to verify anything by: give some with --tests"
                )
    return list(found.values())


async def _solve_all(
    tasks: list[Task],
    settings: Settings,
    run: Run,
    output: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> list[Solution]:
    solutions: list[Solution] = []
    names = file_names(task.id for task in tasks)
    ledger = Ledger(settings.budget)
    with Show(quiet=quiet) as show:
        show.step("starting the sandbox")
        async with open_tiers(settings, progress=show.downloaded) as tiers:
            async with open_bench(settings, tasks) as bench:
                run.note_sandbox(bench.sandbox)
                show.say(
                    f"sandbox {bench.sandbox.level} ({bench.why}), "
                    f"model {' then '.join(settings.models)}"
                )
                for key in run.journal.lost():
                    show.say(f"lost: {key[0]} sample {key[1] + 1}, under way when the run ended")
                for task in tasks:
                    solution = await solve_task(
                        task,
                        settings,
                        bench=bench,
                        tiers=tiers,
                        ledger=ledger,
                        journal=run.journal,
                        listener=show.event,
                        run=run.id,
                    )
                    solutions.append(solution)
                    show.solution(solution)
                    path = output
                    if output is not None and len(tasks) > 1:
                        path = output / names[task.id]
                    _give(solution, path, several=len(tasks) > 1, as_json=as_json)
        if len(tasks) > 1:
            solved = sum(solution.solved for solution in solutions)
            show.say(f"{solved} of {len(tasks)} tasks verified")
    return solutions


def _give(solution: Solution, path: Path | None, *, several: bool, as_json: bool) -> None:
    """The program, or all of the solution as JSON, where it was asked for."""
    if path is not None and solution.program:
        try:
            write_program(path, solution.program)
        except OutputError as error:
            if not as_json:
                emit_program(solution.program)  # it was paid for
            raise OutputError(f"{error}; the program is on standard output instead") from None
        finally:
            if as_json:
                emit_json(solution.model_dump(mode="json"))
    elif as_json:
        emit_json(solution.model_dump(mode="json"))
    elif path is None and solution.program:
        if several:
            emit(
                f"# {short(solution.task_id)}: {'verified' if solution.solved else 'NOT verified'}"
            )
        emit_program(solution.program)
        if several:
            emit("")


def _exit_code(solutions: list[Solution]) -> int:
    if all(solution.solved for solution in solutions):
        return Exit.VERIFIED
    if any(solution.verdict is not None and solution.verdict.broken for solution in solutions):
        return Exit.USAGE
    if any(solution.stopped == "budget" for solution in solutions if not solution.solved):
        return Exit.BUDGET
    return Exit.NOT_VERIFIED
