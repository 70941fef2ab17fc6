"""`regreen fix`: a repository with failing tests in, a proven patch out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.budget import Ledger
from agent.cli import fix_environment, fix_outputs, interrupt, options
from agent.cli.errors import known_error
from agent.cli.exits import Exit, OutputError, UsageError
from agent.cli.flags import SEARCH_FLAGS, with_settings
from agent.cli.output import clean, emit, emit_json
from agent.cli.recording import recorded
from agent.cli.show import Show
from agent.fix.environment.assemble import Environment, open_sandbox, read_environment
from agent.fix.environment.building import build
from agent.fix.environment.needs import Need
from agent.fix.environment.setup import SetupError
from agent.fix.environment.test_command import TestCommand, read_test_command
from agent.fix.environment.worktree import uncommitted
from agent.fix.failed import read_failed
from agent.fix.guarded import check_addresses, check_isolation
from agent.fix.languages import language_of
from agent.fix.model.prompts import prompts_digest
from agent.fix.model.search import ModelSearch
from agent.fix.model.strategy import asks_model, patch_strategy
from agent.fix.outputs.base import Story
from agent.fix.repair import Repair, Repairer
from agent.fix.report import Bill, FixReport, FixStatus, asked, make_report, money
from agent.fix.spectrum import FormulaName
from agent.run import Run
from agent.settings import Settings
from agent.tiers import Tier, cost_of, open_tiers
from sandbox.errors import RequirementError
from sandbox.registry import SandboxOptions, choose_name
from verifiers.repository import SUITE_LIMITS, Snapshot, SuiteOptions, runner_of, take_snapshot

_SETUP_LINES = 20
"""Of what a setup command that failed has printed, so many are shown."""
_CODES = {
    FixStatus.FIXED: Exit.VERIFIED,
    FixStatus.NOTHING_FAILING: Exit.VERIFIED,
    FixStatus.PARTLY_FIXED: Exit.NOT_VERIFIED,
    FixStatus.NOT_FIXED: Exit.NOT_VERIFIED,
    FixStatus.ENVIRONMENT: Exit.INFRASTRUCTURE,
    FixStatus.BUDGET: Exit.BUDGET,
    FixStatus.NOT_REPRODUCED: Exit.NOT_REPRODUCED,
}

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="PROVIDER/NAME to ask where no small edit does: openai/gpt-x; or none.",
        rich_help_panel="Model",
    ),
]
_SHARED = (
    "cascade",
    "cascade_samples",
    "cascade_failures",
    "base_url",
    "temperature",
    "top_p",
    "max_tokens",
    "effort",
    "thinking_tokens",
    "samples_per_call",
    "model_timeout",
    "strategy",
    "strategy_options",
    "n",
    "concurrency",
    "budget_samples",
    "budget_tokens",
    "max_cost",
    "max_seconds",
    "max_sandbox_seconds",
    "runs",
    "seed",
    "sandbox",
    "slots",
    "image",
    "runtime",
    "allow_reduced_isolation",
)
_FLAGS = {"model": Model} | {name: SEARCH_FLAGS[name] for name in _SHARED}


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
    candidates: Annotated[int, typer.Option(min=0, help="Small edits to try at the most.")] = 300,
    suite_seconds: Annotated[
        float, typer.Option(min=1, help="Longest time for one run of the suite.")
    ] = 300.0,
    runner: Annotated[
        str,
        typer.Option(
            help="What runs the tests, pytest or node; by default what PATH is for.",
            metavar="NAME",
        ),
    ] = "",
    requirement: fix_environment.Requirement = None,
    setup_cmd: fix_environment.SetupCommand = None,
    test_cmd: fix_environment.TestCommand = None,
    formula: Annotated[
        FormulaName, typer.Option(help="What functions and lines are suspected by.")
    ] = FormulaName.OCHIAI,
    apply: Annotated[bool, typer.Option("--apply", help="Write the patch into the files.")] = False,
    allow_dirty: fix_environment.AllowDirty = False,
    failed_from: fix_outputs.FailedFrom = None,
    report: fix_outputs.Report = None,
    patch: fix_outputs.Patch = None,
    junit: fix_outputs.Junit = None,
    sarif: fix_outputs.Sarif = None,
    write: fix_outputs.Write = None,
    github: fix_outputs.GitHub = None,
    resume: options.Resume = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Find a small patch that makes the failing tests of PATH pass, and prove it."""
    outputs = fix_outputs.choose_outputs(
        named={"markdown": report, "patch": patch, "junit": junit, "sarif": sarif},
        write=write or (),
        on_github=github,
        quiet=quiet,
    )
    notes: list[str] = []
    pristine = take_snapshot(path, leave_out=lambda why: notes.append(f"left out: {why}"))
    chosen = runner_of(pristine, runner)
    environment = read_environment(
        language_of(chosen).with_packages(path, pristine),
        path,
        requirements=requirement or (),
        building=setup_cmd is not None,
    )
    notes += environment.notes
    command = read_test_command(test_cmd, pristine) if test_cmd else None
    limits = SUITE_LIMITS.model_copy(
        update={"wall_seconds": suite_seconds, "cpu_seconds": max(1, round(suite_seconds))}
    )
    suite = SuiteOptions(runner=chosen, limits=limits, seed=settings.seed)
    only = tuple(test or ())
    if failed_from is not None:
        only += read_failed(failed_from, pristine.files)
        if not only:
            result = FixReport(
                status=FixStatus.NOT_REPRODUCED, reason=f"{failed_from.name} names no failing test"
            )
            return _end(result, Story(report=result), outputs, as_json=as_json)
    check_isolation(settings, path)
    asks = asks_model(settings)
    if asks:
        check_addresses(settings, path)
        patch_strategy(settings)  # a wrong word costs no wait
    elif resume:
        raise UsageError("--resume goes on with what a model was asked, and no --model is set")
    what = {"command": "fix", "repository": _digest(environment.snapshot), "tests": only,
            "formula": formula, "candidates": candidates, "setup": setup_cmd,
            "requests": prompts_digest(language_of(chosen)),
            "test_command": test_cmd} if asks else {}  # fmt: skip
    with Show(quiet=quiet) as show, _record(settings, what, resume, wanted=asks) as run:
        for note in notes:
            show.say(note)
        job = _Job(
            settings, environment, suite, command, setup_cmd, notes, only, candidates, formula, run
        )
        try:
            found, bill, snapshot = interrupt.run(lambda: _repair(job, show))
        except Exception as error:
            known = known_error(error)
            if known is None or not isinstance(known[0], (RequirementError, SetupError)):
                raise
            if isinstance(known[0], SetupError):
                for line in known[0].output.splitlines()[-_SETUP_LINES:]:
                    show.say(f"| {clean(line)}")
            # it is the repository's fault, and a result like any other
            result = FixReport(
                status=FixStatus.ENVIRONMENT, reason=str(known[0]), notes=tuple(notes)
            )
            return _end(result, Story(report=result), outputs, as_json=as_json)
    result = make_report(snapshot, found, named=bool(only), bill=bill, notes=notes)
    folder = fix_outputs.folder_in_checkout(path)
    story = Story(report=result, targets=found.before, folder=folder)
    code = _end(result, story, outputs, as_json=as_json)
    if apply and result.diff:  # after the patch is shown: it is not lost if it can't be written
        _apply(path, snapshot, found, allow_dirty=allow_dirty)
    return code


def _end(result: FixReport, story: Story, outputs: fix_outputs.Outputs, *, as_json: bool) -> int:
    """Prints the result, then writes what else is wanted of it."""
    if as_json:
        emit_json(result.model_dump(mode="json"))
    else:
        with outputs.uncommanded():
            _give(result)
    outputs.write(story)
    return _CODES[result.status]


@dataclass(frozen=True, slots=True)
class _Job:
    """What a repair is made of."""

    settings: Settings
    environment: Environment
    suite: SuiteOptions
    command: TestCommand | None
    setup: str | None
    notes: list[str]
    only: tuple[str, ...]
    most: int
    formula: FormulaName
    run: Run | None


@contextmanager
def _record(
    settings: Settings, what: Mapping[str, Any], resume: str | None, *, wanted: bool
) -> Iterator[Run | None]:
    """A run to record in; none where no model is asked, since nothing is paid for."""
    if not wanted:
        yield None
        return
    run = Run.open(settings, what, resume)
    with recorded(run):
        yield run


def _digest(snapshot: Snapshot) -> str:
    return hashlib.sha256(snapshot.archive()).hexdigest()[:16]


async def _runtime(job: _Job) -> tuple[Need, ...]:
    """What the sandbox needs besides, to run tests of the repository's language at all."""
    language = language_of(job.suite.runner)
    named = {need.name for need in job.environment.needs}
    name, _ = await choose_name(job.settings.sandbox)
    has_programs = name == "local" or job.settings.image is not None
    return tuple(
        need
        for need in language.runtime(job.environment.snapshot, has_programs)
        if need.name not in named
    )


async def _repair(job: _Job, show: Show) -> tuple[Repair, Bill, Snapshot]:
    """The repair, what it cost, and the tree that was repaired."""
    settings, run = job.settings, job.run
    ledger = Ledger(settings.budget)
    machine = SandboxOptions(
        slots=settings.slots,
        limits=job.suite.limits,
        base=settings.image or settings.base_image,  # what the tests need comes on top
        runtime=settings.runtime,
        allow_reduced=settings.allow_reduced_isolation,
    )

    def left_out(line: str) -> None:
        job.notes.append(line)
        show.say(line)

    show.step("starting the sandbox")
    environment, runtime = job.environment, await _runtime(job)
    async with AsyncExitStack() as stack:
        tiers: Sequence[Tier] = ()
        if run is not None:
            opened = open_tiers(settings, progress=show.downloaded)
            tiers = await stack.enter_async_context(opened)
        if job.setup is not None:
            show.step("running the setup command")
            environment = await build(
                environment,
                job.setup,
                settings.sandbox,
                machine,
                (*environment.needs, *runtime),
                limits=job.suite.limits,
                packages=language_of(job.suite.runner).packages,
                say=left_out,
            )
        needs = (*environment.needs, *runtime)
        sandbox, why = await stack.enter_async_context(
            open_sandbox(settings.sandbox, machine, needs, say=left_out)
        )
        asker = None
        models = tuple(tier.model.name for tier in tiers)
        show.say(
            f"sandbox {sandbox.level} ({why})"
            + (f", model {' then '.join(models)} where no small edit does" if models else "")
        )
        if run is not None:
            run.note_sandbox(sandbox)
            asker = ModelSearch(
                settings=settings,
                tiers=tiers,
                ledger=ledger,
                journal=run.journal,
                listener=show.event,
            )
        repairer = Repairer(
            sandbox=sandbox,
            options=environment.suite(job.suite, job.command),
            ledger=ledger,
            most=job.most,
            workers=sandbox.slots,
            only=job.only,
            formula=job.formula,
            listener=show.step,
            asker=asker,
            journal=run.journal if run is not None else None,
        )
        found = await repairer.repair(environment.snapshot)
        bill = Bill(
            models=models,
            tokens_in=ledger.spent.tokens_in,
            tokens_out=ledger.spent.tokens_out,
            cost=cost_of(ledger, tiers) if found.asked is not None else 0.0,
            run=run.id if run is not None and found.asked is not None else "",
        )
        return found, bill, environment.snapshot


def _apply(path: Path, snapshot: Snapshot, found: Repair, *, allow_dirty: bool = False) -> None:
    """Writes the patch, unless one of its files was changed in the meantime or is not committed.

    Raises:
        UsageError: one was, or is not.
        OutputError: it can't be written.
    """
    assert found.chosen is not None
    texts = found.chosen.candidate.texts
    for name in texts:
        file, known = path / name, snapshot.files.get(name)
        now = file.read_bytes() if file.is_file() else None
        if now != (known.content if known is not None else None):
            raise UsageError(f"{name} was changed while the patch was sought: nothing is written")
        if not allow_dirty and now is not None and (why := uncommitted(path, name, now)):
            raise UsageError(f"{why}: nothing is written; commit it, or use --allow-dirty")
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


def _give(result: FixReport) -> None:
    if result.diff:
        emit(clean(result.diff).removesuffix("\n"))
        emit("")
    emit(f"{result.status.value}: {clean(result.reason)}")
    for line in result.why:
        emit(f"  {clean(line)}")
    for other in result.differing:
        emit(f"  differs: {clean(str(other))}")
    if result.confidence:
        emit(f"  {result.confidence}; trust {result.trust}, {result.isolation}")
    for name in result.still_failing:
        emit(f"  still failing: {clean(name)}")
    if not result.diff and result.suspects:
        emit("most suspicious:")
        for one in result.suspects:
            emit(f"  {clean(one.path)}:{one.line} {clean(one.name)}")
    if result.candidates:
        emit(f"{result.candidates} patches tried in {result.seconds:.0f} s")
        emit(f"  {clean(asked(result))}")
    if result.answers is not None:
        emit(
            f"  tokens {result.tokens_in} in, {result.tokens_out} out, cost {money(result)}, "
            f"run {result.run}"
        )
