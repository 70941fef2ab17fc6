"""`regreen eval`: a suite in, numbers with intervals out."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import interrupt, options
from agent.cli.books import ledger_lines
from agent.cli.exits import Exit, UsageError
from agent.cli.flags import SEARCH_FLAGS, with_settings
from agent.cli.output import emit_json
from agent.cli.recording import recorded
from agent.cli.show import Show
from agent.evaluation import EvalReport, Evaluation, TaskScore, choose_protocol
from agent.run import Run
from agent.session import open_bench
from agent.settings import Settings
from agent.solving import NoTestsError
from agent.tiers import open_tiers
from tasks import load_suite
from tasks.model import Protocol, Task

Reference = Annotated[str, typer.Argument(help="A suite's name or file.", metavar="SUITE")]
Limit = Annotated[int | None, typer.Option(help="Only the first so many tasks.", min=1)]
TaskIds = Annotated[
    list[str] | None, typer.Option("--task-id", help="Only this task; may be repeated.")
]
WhichTests = Annotated[
    Protocol | None,
    typer.Option(
        "--protocol",
        help="given: all tests are seen. hidden: some only score. Default: hidden where there are.",
    ),
]


@with_settings({**SEARCH_FLAGS, "pool": options.Pool})
def evaluate(
    *,
    settings: Settings,
    suite: Reference,
    limit: Limit = None,
    task_id: TaskIds = None,
    protocol: WhichTests = None,
    resume: options.Resume = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Run a suite and report pass@k, cost and time."""
    loaded = load_suite(suite)
    named = [loaded.get(name) for name in task_id] if task_id else list(loaded)
    tasks = list({task.id: task for task in named}.values())[:limit]
    if not tasks:
        raise UsageError(f"{suite} has no task to run")
    decided = choose_protocol(protocol, loaded.hidden_refused, tasks)
    for task in tasks:
        if decided is Protocol.GIVEN and not task.all_tests():
            raise NoTestsError(f"{task.id} has no tests to score anything by")
    what = {"command": "eval", "suite": suite, "protocol": str(decided)}
    run = Run.open(settings, what, resume)
    with recorded(run):
        report = interrupt.run(
            lambda: _evaluate(tasks, settings, decided, run, as_json=as_json, quiet=quiet)
        )
    _print(report, str(run.folder), as_json=as_json)
    return Exit.BUDGET if report.stopped.get("budget") else Exit.VERIFIED


async def _evaluate(
    tasks: list[Task],
    settings: Settings,
    protocol: Protocol,
    run: Run,
    *,
    as_json: bool,
    quiet: bool,
) -> EvalReport:
    with Show(quiet=quiet, total=len(tasks)) as show:
        show.step("starting the sandbox")

        def scored(score: TaskScore) -> None:
            show.score(score)
            if as_json:
                emit_json(score.model_dump(mode="json"))

        async with open_tiers(settings, progress=show.downloaded) as tiers:
            async with open_bench(settings, tasks) as bench:
                show.say(
                    f"sandbox {bench.sandbox.level} ({bench.why}), "
                    f"model {' then '.join(settings.models)}, protocol {protocol}, run {run.id}"
                )
                return await Evaluation(
                    settings=settings,
                    protocol=protocol,
                    bench=bench,
                    tiers=tiers,
                    run=run,
                    listener=show.event,
                    scored=scored,
                ).evaluate(tasks)


def _print(report: EvalReport, folder: str, *, as_json: bool) -> None:
    if as_json:
        emit_json(report.summary())
        return
    low, high = report.pass_at_1_interval
    seen = {
        Protocol.GIVEN: "all tests were part of the request",
        Protocol.HIDDEN: "the search saw the examples only, hidden tests scored",
    }[report.protocol]
    print(f"{report.solved} of {report.tasks} tasks solved (protocol {report.protocol}: {seen})")
    print(f"  pass@1 of the chosen program  {report.pass_at_1:.1%}  [{low:.1%}, {high:.1%}]")
    for k, value in report.pass_at_k.items():
        bottom, top = report.pass_at_k_interval[k]
        print(f"  pass@{k:<4} of all samples       {value:.1%}  [{bottom:.1%}, {top:.1%}]")
    print(f"  oracle (any drawn is right)   {report.oracle:.1%}")
    if report.confidence is not None:
        print(
            f"  confidence, mean              {report.confidence:.1%}  "
            f"(calibration error {report.calibration_error:.3f})"
        )
    few, many = report.mean_samples_interval
    print(f"  samples a task                {report.mean_samples:.2f}  [{few:.2f}, {many:.2f}]")
    if report.duplicates:
        print(f"  duplicates                    {report.duplicates} drawn again, not run again")
    about = "about " if report.tokens_estimated else ""
    money = "unknown, no price" if report.cost is None else f"${report.cost:.4f}"
    print(f"  tokens {about}{report.tokens_in} in, {report.tokens_out} out; cost {money}")
    for line in ledger_lines(report.ledger):
        print(f"    {line}")
    reduced = " — LESS than full isolation" if report.reduced else ""
    print(f"  isolation {report.isolation}{reduced}, trust {report.trust}, {report.seconds:.1f} s")
    if report.incidents:
        print(f"  incidents: {report.incidents} passed in the search and not in a fresh sandbox")
    if report.replayed or report.lost:
        lost = f"; lost in mid-call: {', '.join(report.lost)}" if report.lost else ""
        print(f"  resumed: {report.replayed} samples taken from the journal{lost}")
    print(f"  run {report.run}: {folder}")
