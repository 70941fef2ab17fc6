"""`regreen fix`: a repository with failing tests in, a proven patch out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.budget import Ledger
from agent.cli import interrupt, options
from agent.cli.exits import Exit, OutputError, UsageError
from agent.cli.flags import SANDBOX_FLAGS, with_settings
from agent.cli.output import clean, emit, emit_json
from agent.cli.show import Show
from agent.fix.repair import Repair, Repairer
from agent.fix.report import FixReport, FixStatus, make_report, markdown
from agent.fix.requirements import read_requirements
from agent.settings import Settings
from sandbox.registry import SandboxOptions, choose_sandbox
from verifiers.repository import SUITE_LIMITS, Snapshot, SuiteOptions, take_snapshot

_CODES = {
    FixStatus.FIXED: Exit.VERIFIED,
    FixStatus.NOTHING_FAILING: Exit.VERIFIED,
    FixStatus.NOT_FIXED: Exit.NOT_VERIFIED,
    FixStatus.ENVIRONMENT: Exit.INFRASTRUCTURE,
    FixStatus.BUDGET: Exit.BUDGET,
    FixStatus.NOT_REPRODUCED: Exit.NOT_REPRODUCED,
}

_FLAGS = {
    name: SANDBOX_FLAGS[name]
    for name in ("seed", "sandbox", "slots", "image", "runtime", "allow_reduced_isolation")
} | {"max_seconds": options.MaxSeconds, "max_sandbox_seconds": options.MaxSandboxSeconds}


@with_settings(_FLAGS)
def fix(
    *,
    settings: Settings,
    path: Annotated[Path, typer.Argument(help="The repository's top.")] = Path(),
    test: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a failing test, or of a file or class of them; may be repeated.",
            metavar="ID",
        ),
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, help="Patches to try at the most.")] = 300,
    suite_seconds: Annotated[
        float, typer.Option(min=1, help="Longest time for one run of the suite.")
    ] = 300.0,
    requirement: Annotated[
        list[str] | None,
        typer.Option(help="A pip requirement that the repository doesn't name; may be repeated."),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the patch into the files.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write what a pull request should say, as Markdown.")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Find a small patch that makes the failing tests of PATH pass, and prove it."""
    snapshot = take_snapshot(path)
    limits = SUITE_LIMITS.model_copy(
        update={"wall_seconds": suite_seconds, "cpu_seconds": max(1, round(suite_seconds))}
    )
    suite = SuiteOptions(limits=limits, seed=settings.seed)
    with Show(quiet=quiet) as show:
        found = interrupt.run(
            lambda: _repair(
                settings,
                snapshot,
                suite,
                needs=tuple(requirement or ()),
                only=tuple(test or ()),
                most=candidates,
                show=show,
            )
        )
    result = make_report(snapshot, found, named=bool(test))
    if report is not None:
        _write(report, markdown(result, found.targets).encode())
    if apply and result.diff:
        _apply(path, snapshot, found)
    _give(result, as_json=as_json)
    return _CODES[result.status]


async def _repair(
    settings: Settings,
    snapshot: Snapshot,
    suite: SuiteOptions,
    *,
    needs: tuple[str, ...],
    only: tuple[str, ...],
    most: int,
    show: Show,
) -> Repair:
    asked = SandboxOptions(
        slots=settings.slots,
        limits=suite.limits,
        requirements=tuple(sorted({*read_requirements(snapshot), *needs})),
        image=settings.image,
        base=settings.base_image,
        runtime=settings.runtime,
        allow_reduced=settings.allow_reduced_isolation,
    )
    show.step("starting the sandbox")
    sandbox, why = await choose_sandbox(settings.sandbox, asked)
    async with sandbox:
        show.say(f"sandbox {sandbox.level} ({why})")
        repairer = Repairer(
            sandbox=sandbox,
            options=suite,
            ledger=Ledger(settings.budget),
            most=most,
            workers=sandbox.slots,
            only=only,
            listener=show.step,
        )
        return await repairer.repair(snapshot)


def _apply(path: Path, snapshot: Snapshot, found: Repair) -> None:
    """Writes the patch, unless one of its files was changed in the meantime.

    Raises:
        UsageError: one was.
        OutputError: it can't be written.
    """
    assert found.chosen is not None
    texts = found.chosen.candidate.texts
    for name in texts:
        file, known = path / name, snapshot.files.get(name)
        now = file.read_bytes() if file.is_file() else None
        if now != (known.content if known is not None else None):
            raise UsageError(f"{name} was changed while the patch was sought: nothing is written")
    for name, text in texts.items():
        if text is None:
            (path / name).unlink()
        else:
            _write(path / name, text.encode())


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}") from None


def _give(result: FixReport, *, as_json: bool) -> None:
    if as_json:
        emit_json(result.model_dump(mode="json"))
        return
    if result.diff:
        emit(clean(result.diff).removesuffix("\n"))
        emit("")
    emit(f"{result.status.value}: {clean(result.reason)}")
    for line in result.why:
        emit(f"  {clean(line)}")
    if result.confidence:
        emit(f"  {result.confidence}; trust {result.trust}, {result.isolation}")
    for name in result.still_failing:
        emit(f"  still failing: {clean(name)}")
    if not result.diff and result.suspects:
        emit("most suspicious:")
        for one in result.suspects:
            emit(f"  {clean(one.path)}:{one.line} {clean(one.name)}")
    if result.candidates:
        emit(f"{result.candidates} patches tried in {result.seconds:.0f} s, no model was asked")
