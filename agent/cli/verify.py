"""`regreen verify`: verdicts on programs that exist already; no model is asked."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated

import typer

from agent.cli import interrupt, options
from agent.cli.exits import Exit, OutputError, UsageError
from agent.cli.show import Show
from agent.session import open_bench
from agent.settings import Settings, load_settings
from agent.verification import (
    Sample,
    Tally,
    VerifiedRow,
    read_samples,
    single_solution,
    verify_samples,
)
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


def verify(
    reference: Reference,
    samples: Samples = None,
    solution: SolutionFile = None,
    tests: TestFiles = None,
    seed: options.Seed = None,
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
    output: options.Output = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Judge programs against the tests of a suite or a task."""
    flags = {name: value for name, value in locals().items() if name in Settings.model_fields}
    settings = load_settings(flags)
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
    tally = interrupt.run(
        lambda: _verify(
            found,
            suite,
            settings,
            output,
            as_json=as_json,
            quiet=quiet,
            keep=rows if solution is not None else None,
        )
    )
    if solution is None:
        return Exit.VERIFIED
    if rows and rows[0].outcome == "infra":
        return Exit.INFRASTRUCTURE
    return Exit.VERIFIED if rows and rows[0].passed else Exit.NOT_VERIFIED if tally else Exit.USAGE


async def _verify(
    samples: Iterator[Sample],
    suite: Suite,
    settings: Settings,
    output: Path | None,
    *,
    as_json: bool,
    quiet: bool,
    keep: list[VerifiedRow] | None,
) -> Tally:
    with Show(quiet=quiet) as show, _rows_file(output) as file:
        show.step("starting the sandbox")
        async with open_bench(settings, suite) as bench:
            show.say(f"sandbox {bench.sandbox.level} ({bench.why})")
            tally = Tally()

            def give(sample: Sample, row: VerifiedRow) -> None:
                line = json.dumps({**sample.echo, **row.model_dump(mode="json")})
                if file is not None:
                    file.write(line + "\n")
                elif as_json:
                    print(line)
                if keep is not None:
                    keep.append(row)
                show.step(
                    f"{tally.passed} of {tally.total} passed, "
                    f"{tally.total / max(tally.seconds, 1e-9):.0f} a second"
                )

            await verify_samples(samples, bench, tally=tally, give=give)
        _close(tally, keep, show, as_json=as_json)
    return tally


def _close(tally: Tally, keep: list[VerifiedRow] | None, show: Show, *, as_json: bool) -> None:
    summary = tally.summary()
    if as_json:
        print(json.dumps(summary))
        return
    if keep:
        row = keep[0]
        print(f"{row.task_id}: {row.outcome}, reward {row.reward:.2f}")
        for test in row.tests:
            mark = "✓" if test["outcome"] == "passed" else "✗"
            print(f"  {mark} {test['name']}" + (f" — {test['detail']}" if test["detail"] else ""))
        if row.detail and not row.passed:
            print(f"  {row.detail}")
        print(f"  isolation {row.isolation}, trust {row.trust}")
        return
    print(f"{summary['passed']} of {summary['total']} programs passed ({summary['tasks']} tasks)")
    for name, count in summary["outcomes"].items():
        print(f"  {name:<9}{count}")
    for k, value in summary["pass_at_k"].items():
        low, high = summary["pass_at_k_interval"][k]
        print(f"  pass@{k:<4}{value:.1%}  [{low:.1%}, {high:.1%}]")
    rate = summary["candidates_per_second"]
    print(f"  {summary['seconds']:.1f} s, {rate:.1f} programs a second")


@contextlib.contextmanager
def _rows_file(output: Path | None) -> Iterator[IO[str] | None]:
    if output is None:
        yield None
        return
    try:
        with open(output, "w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise OutputError(f"can't write {output}: {error.strerror}") from None
    finally:
        sys.stdout.flush()
