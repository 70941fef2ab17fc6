"""`regreen verify`: verdicts on programs that exist already; no model is asked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from agent.cli import interrupt, options
from agent.cli.exits import Exit, OutputError, UsageError
from agent.cli.flags import SANDBOX_FLAGS, with_settings
from agent.cli.output import emit, emit_json, short
from agent.cli.show import Show
from agent.session import open_bench
from agent.settings import Settings
from agent.verification import (
    Sample,
    Tally,
    VerifiedRow,
    read_samples,
    single_solution,
    verify_samples,
)
from sandbox.outcome import Outcome
from tasks import load_suite, load_tasks
from tasks.suite import Suite

Reference = Annotated[str, typer.Argument(help="A suite or a task.", metavar="SUITE-or-TASK")]
Samples = Annotated[
    Path | None,
    typer.Option("--samples", help="JSONL with task_id and solution/completion/samples."),
]
SolutionFile = Annotated[Path | None, typer.Option("--solution", help="One whole program.")]
TestFiles = Annotated[
    list[Path] | None, typer.Option("--tests", help="Test file for a stub; may be repeated.")
]


@with_settings(SANDBOX_FLAGS)
def verify(
    *,
    settings: Settings,
    reference: Reference,
    samples: Samples = None,
    solution: SolutionFile = None,
    tests: TestFiles = None,
    output: options.Output = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Judge programs against the tests of a suite or a task."""
    if (samples is None) == (solution is None):
        raise UsageError("verify takes one of --samples FILE.jsonl and --solution FILE")
    if tests:
        suite = Suite(reference, load_tasks(reference, tests=tuple(tests)))
    else:
        suite = load_suite(reference)
    if solution is not None:
        found: Iterator[Sample] = iter([single_solution(solution, suite)])
    else:
        assert samples is not None
        found = read_samples(samples, suite)
    rows: list[VerifiedRow] = []
    # a batch makes figures, so a fresh sandbox for each pass has to be asked for in so many words
    apart = settings.confirm_sandbox is not None or settings.confirm_runtime is not None
    interrupt.run(
        lambda: _verify(
            found,
            suite,
            settings,
            output,
            as_json=as_json,
            quiet=quiet,
            keep=rows if solution is not None else None,
            confirm=settings.confirm and (solution is not None or apart),
        )
    )
    if solution is None:
        return Exit.VERIFIED
    row = rows[0]
    if row.outcome is Outcome.INFRA:
        return Exit.INFRASTRUCTURE
    if row.broken:
        return Exit.USAGE
    return Exit.VERIFIED if row.passed else Exit.NOT_VERIFIED


async def _verify(
    samples: Iterator[Sample],
    suite: Suite,
    settings: Settings,
    output: Path | None,
    *,
    as_json: bool,
    quiet: bool,
    keep: list[VerifiedRow] | None,
    confirm: bool,
) -> Tally:
    with Show(quiet=quiet) as show, _rows_file(output) as write:
        show.step("starting the sandbox")
        async with open_bench(settings, suite) as bench:
            show.say(f"sandbox {bench.sandbox.level} ({bench.why})")
            tally = Tally()

            def give(sample: Sample, row: VerifiedRow) -> None:
                verdict = row.record()
                if row.incident is not None:
                    show.incident(row.incident)
                if write is not None:
                    write(json.dumps({**sample.echo, **verdict}))
                elif as_json:
                    emit_json({**sample.echo, **verdict})
                if keep is not None:
                    keep.append(row)
                show.step(
                    f"{tally.passed} of {tally.total} passed, "
                    f"{tally.total / max(tally.seconds, 1e-9):.0f} a second"
                )

            await verify_samples(samples, bench, tally=tally, give=give, confirm=confirm)
    _close(tally, keep, as_json=as_json)
    return tally


def _close(tally: Tally, keep: list[VerifiedRow] | None, *, as_json: bool) -> None:
    summary = tally.summary()
    if as_json:
        emit_json(summary)
        return
    if keep:
        row = keep[0]
        lines = [f"{short(row.task_id)}: {row.outcome}, reward {row.reward:.2f}"]
        for test in row.tests:
            mark = "✓" if test["outcome"] == Outcome.PASSED else "✗"
            detail = f" — {short(test['detail'])}" if test["detail"] else ""
            lines.append(f"  {mark} {short(test['name'])}{detail}")
        if row.broken:
            lines.append(f"  the tests can't be used: {short(row.broken)}")
        elif row.incident is not None:
            lines.append(f"  incident: {short(row.incident.message, 400)}")
        elif row.detail and not row.passed:
            lines.append(f"  {short(row.detail)}")
        again = f", confirmed in {row.confirmed}" if row.confirmed else ""
        emit("\n".join([*lines, f"  isolation {row.isolation}{again}, trust {row.trust}"]))
        return
    lines = [f"{tally.passed} of {tally.total} programs passed ({len(tally.by_task)} tasks)"]
    lines += [f"  {name:<9}{count}" for name, count in summary["outcomes"].items()]
    values, intervals = tally.pass_at_k()
    for k, value in values.items():
        low, high = intervals[k]
        lines.append(f"  pass@{k:<4}{value:.1%}  [{low:.1%}, {high:.1%}]")
    rate = summary["candidates_per_second"]
    emit("\n".join([*lines, f"  {summary['seconds']:.1f} s, {rate:.1f} programs a second"]))


@contextlib.contextmanager
def _rows_file(output: Path | None) -> Iterator[Callable[[str], None] | None]:
    """A function that writes a line there at once, so that an interruption loses none."""
    if output is None:
        yield None
        return

    def failed(error: OSError) -> OutputError:
        return OutputError(f"can't write {output}: {error.strerror}")

    try:
        file = open(output, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
    except OSError as error:
        raise failed(error) from None

    old = output.is_file()

    def write(line: str) -> None:
        nonlocal old
        try:
            if old:  # what an earlier run left stands until there is something better
                file.truncate(0)
                old = False
            file.write(line + "\n")
        except OSError as error:
            raise failed(error) from None

    try:
        yield write
    finally:
        with contextlib.suppress(OSError):  # lines are written at once, so this has been told
            file.close()
