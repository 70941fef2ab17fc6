"""`regreen calibrate`: samples in, a profile with tiers and budgets out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.calibration import Calibration
from agent.cli import interrupt, options
from agent.cli.exits import Exit, OutputError, UsageError
from agent.cli.flags import CALIBRATE_FLAGS, with_settings
from agent.cli.output import emit, emit_json
from agent.cli.recording import recorded
from agent.cli.show import Show
from agent.evaluation import choose_protocol
from agent.routing.calibrating import calibrated
from agent.routing.fitting import Recorded
from agent.routing.plot import as_svg
from agent.routing.profile import Profile, write_profile
from agent.run import Run
from agent.session import open_bench
from agent.settings import Settings
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
    typer.Option("--protocol", help="Whose verdicts count; as for eval. Hidden tests never do."),
]
Where = Annotated[Path, typer.Option("--output", "-o", help="The profile: a .toml or .json file.")]
Plot = Annotated[
    Path | None, typer.Option(help="The curve as a picture; else beside the profile, as .svg.")
]
Gain = Annotated[
    float,
    typer.Option(
        help="Of what all samples solve beyond one, the share to keep.", min=0.01, max=1.0
    ),
]


@with_settings(CALIBRATE_FLAGS)
def calibrate(
    *,
    settings: Settings,
    suite: Reference,
    output: Where = Path("profile.toml"),
    plot: Plot = None,
    gain: Gain = 0.9,
    limit: Limit = None,
    task_id: TaskIds = None,
    protocol: WhichTests = None,
    resume: options.Resume = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Draw samples of a suite, and fit tiers and budgets to the model."""
    loaded = load_suite(suite)
    named = [loaded.get(name) for name in task_id] if task_id else list(loaded)
    tasks = list({task.id: task for task in named}.values())[:limit]
    if not tasks:
        raise UsageError(f"{suite} has no task to calibrate by")
    decided = choose_protocol(protocol, loaded.hidden_refused, tasks)
    what = {"command": "calibrate", "suite": suite, "protocol": str(decided)}
    run = Run.open(settings, what, resume)
    with recorded(run):
        found = interrupt.run(lambda: _record(tasks, settings, decided, run, quiet=quiet))
    profile = calibrated(
        found,
        gain=gain,
        seed=settings.seed,
        model=settings.model,
        suite=suite,
        free_edits=settings.free_edits,
    )
    write_profile(output, profile)
    picture = plot or output.with_suffix(".svg")
    try:
        picture.write_text(as_svg(profile.curve, f"{suite}, {settings.model}"), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"can't write {picture}: {error.strerror}") from None
    _print(profile, found, output, picture, as_json=as_json)
    return Exit.VERIFIED


async def _record(
    tasks: list[Task], settings: Settings, protocol: Protocol, run: Run, *, quiet: bool
) -> list[Recorded]:
    with Show(quiet=quiet, total=len(tasks)) as show:
        show.step("starting the sandbox")
        async with open_tiers(settings, progress=show.downloaded) as tiers:
            async with open_bench(settings, tasks) as bench:
                show.say(
                    f"sandbox {bench.sandbox.level} ({bench.why}), model {settings.model}, "
                    f"protocol {protocol}, {settings.n} samples a task, run {run.id}"
                )
                return await Calibration(
                    settings=settings,
                    protocol=protocol,
                    bench=bench,
                    tiers=tiers,
                    run=run,
                    listener=show.event,
                    recorded=show.recorded,
                ).record(tasks)


def _print(
    profile: Profile, found: list[Recorded], output: Path, picture: Path, *, as_json: bool
) -> None:
    if as_json:
        emit_json(profile.model_dump(mode="json"))
        return
    samples = sum(len(one.draws) for one in found)
    emit(f"{len(found)} tasks, {samples} samples of {profile.model}")
    if profile.free_edits:
        emit(_mended(profile, found))
    emit("  solved  samples a task")
    for point in profile.curve:
        emit(f"  {point.solved:>6.1%}  {point.draws:>14.2f}  {point.name}")
    for name, plan in zip(type(profile.tiers).model_fields, profile.tiers.all, strict=True):
        limit = "" if plan.samples is None else f", given up after {plan.samples}"
        thinks = "" if plan.thinking_tokens is None else f", {plan.thinking_tokens} tokens thought"
        emit(f"  {name}: from a chance of {plan.chance:g} on, {plan.strategy}{limit}{thinks}")
    emit(f"profile {output}, curve {picture}: use it with --profile {output}")


def _mended(profile: Profile, found: list[Recorded]) -> str:
    mended = [[draw.mended for draw in one.draws if draw.passed] for one in found]
    only = sum(bool(ways) and all(ways) for ways in mended)
    return (
        f"up to {profile.free_edits} free edits of each promising one mend {sum(map(sum, mended))} "
        f"of them, and solve {only} tasks that no sample solves by itself"
    )
