"""`regreen doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import interrupt, options
from agent.cli.exits import Exit, UsageError
from agent.cli.output import emit, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.doctor import Finding
    from agent.doctor.deep import DeepFinding, DeepListener
    from agent.settings import Settings
    from sandbox.conformance import CheckResult, ConformanceReport

_LINE_CHARS = 300

Deep = Annotated[
    bool,
    typer.Option(
        "--deep", help="Also try the sandbox's walls, limits and verdicts; under a minute."
    ),
]
Sandbox = Annotated[
    str | None,
    typer.Option(
        "--sandbox", help="With --deep: auto, docker, local, all.", rich_help_panel="Sandbox"
    ),
]


def doctor(
    deep: Deep = False,
    sandbox: Sandbox = None,
    allow_reduced_isolation: options.AllowReduced = None,
    as_json: options.AsJson = False,
) -> int:
    """Check engine, image, kernel, isolation, model and name clashes."""
    from agent.settings import load_settings

    if not deep and (sandbox is not None or allow_reduced_isolation is not None):
        raise UsageError("--sandbox and --allow-reduced-isolation go with --deep: add it")
    settings = load_settings(
        {"sandbox": sandbox, "allow_reduced_isolation": allow_reduced_isolation}
    )
    return _deep(settings, as_json=as_json) if deep else _quick(settings, as_json=as_json)


def _quick(settings: Settings, *, as_json: bool) -> int:
    from agent.doctor import examine

    findings = interrupt.run(lambda: examine(settings))
    if as_json:
        emit(json.dumps([finding.model_dump(mode="json") for finding in findings], indent=2))
    else:
        _emit_findings(findings)
    works = any(
        finding.what.startswith("sandbox ") and finding.state == "ok" for finding in findings
    )
    return Exit.VERIFIED if works else Exit.INFRASTRUCTURE


def _deep(settings: Settings, *, as_json: bool) -> int:
    from agent.doctor import examine
    from agent.doctor.deep import check_name, examine_deeply

    check_name(settings.sandbox)
    findings = interrupt.run(lambda: examine(settings))
    if not as_json:
        _emit_findings(findings)
    with _progress() as listener:
        deeper = interrupt.run(lambda: examine_deeply(settings, listener=listener))
    if as_json:
        whole = {
            "findings": [finding.model_dump(mode="json") for finding in findings],
            "sandboxes": [finding.model_dump(mode="json") for finding in deeper],
        }
        emit(json.dumps(whole, indent=2))
    else:
        for finding in deeper:
            _emit_deep(finding)
    reports = [finding.report for finding in deeper if finding.report is not None]
    holds = bool(reports) and all(report.ok for report in reports)
    return Exit.VERIFIED if holds else Exit.INFRASTRUCTURE


def _emit_findings(findings: list[Finding]) -> None:
    for finding in findings:
        emit(f"{finding.state:<8} {finding.what}: {short(finding.found, _LINE_CHARS)}")
        if finding.advice:
            emit(f"         → {short(finding.advice, _LINE_CHARS)}")


def _emit_deep(finding: DeepFinding) -> None:
    """A table by group, then every check that doesn't hold."""
    emit("")
    if finding.report is None:
        emit(f"problem  sandbox {finding.sandbox}: {short(finding.unavailable, _LINE_CHARS)}")
        return
    report = finding.report
    held = len(report.results) - len(report.failed)
    emit(
        f"sandbox {finding.sandbox} ({finding.why}): {report.level}, {report.slots} slots, "
        f"{held} of {len(report.results)} checks hold, {report.seconds:.1f} s"
    )
    _emit_table(report)
    for result in report.failed:
        _emit_failed(result)


def _emit_table(report: ConformanceReport) -> None:
    from sandbox.conformance import GROUPS

    width = max(map(len, GROUPS.values()))
    for group, about in GROUPS.items():
        results = [result for result in report.results if result.group == group]
        held = sum(result.ok for result in results)
        state = "ok" if held == len(results) else "problem"
        seconds = sum(result.seconds for result in results)
        emit(
            f"{state:<8} {group:<9} {about:<{width}}  {held:>2} of {len(results):>2}  "
            f"{seconds:5.1f} s"
        )


def _emit_failed(result: CheckResult) -> None:
    from agent.doctor.deep import ADVICE

    emit(f"problem  {result.group}: {result.name}: {short(result.detail, _LINE_CHARS)}")
    emit(f"         does not hold: {result.proves}")
    emit(f"         → {ADVICE[result.group]}")


@contextmanager
def _progress() -> Iterator[DeepListener]:
    """Shows on a terminal's standard error how far the checks are; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    live = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False, markup=False),
        transient=True,
        disable=not live,
    )
    with progress:
        bar = progress.add_task("opening the sandbox", total=None)

        def listener(sandbox: str, result: CheckResult, done: int, total: int) -> None:
            text = short(f"{sandbox}: {result.group}: {result.name}", 60)
            progress.update(bar, completed=done, total=total, description=text)
            if not result.ok:
                progress.console.print(f"  ✗ {text}: {short(result.detail)}")

        yield listener
