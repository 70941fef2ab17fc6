"""Calibrated against uncalibrated on a model that really runs, at equal tokens, tests given.

Three runs, each of which goes on where it was broken off: a calibration on tasks that are used for
nothing else; the adaptive search as shipped, ten samples a task at the most; and the same tasks
with the calibrated profile and a pool, which may take as many tokens as the second run took in all.
The command can be given as often as one likes; what is finished is read from the runs' folders.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from agent.calibration import Calibration, alike
from agent.evaluation import EvalReport, Evaluation
from agent.routing.calibrating import calibrated
from agent.routing.profile import Profile, read_profile, write_profile
from agent.run import LAST, Run, RunError, runs_folder
from agent.session import open_bench
from agent.settings import Settings
from agent.statistics import wilson_interval
from agent.tiers import open_tiers
from bench.routing_tiers import ROUNDS, interval
from bench.search_common import SearchOptions, Section, report
from tasks import load_suite
from tasks.model import Protocol, Task

_CALIBRATION_SAMPLES = 10
_SAMPLES = 10
_POOLED_SAMPLES = 100
_MAX_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One run.

    Attributes:
        run: in words.
        tasks: that were searched.
        solved: of them.
        interval: Wilson's 95 % interval of the share solved.
        samples: a task.
        tokens_out: in all.
        tokens: in and out in all.
    """

    run: str
    tasks: int
    solved: int
    interval: tuple[float, float]
    samples: float
    tokens_out: int
    tokens: int


def run(asked: SearchOptions) -> Section:
    """The section."""
    return anyio.run(_measured, asked)


async def _measured(asked: SearchOptions) -> Section:
    suite = list(load_suite("humaneval"))
    random.Random(f"{asked.seed}/live").shuffle(suite)
    searched, others = suite[: asked.tasks], suite[asked.tasks : 2 * asked.tasks]
    common = {
        "model": asked.model,
        "runs": asked.runs,
        "seed": asked.seed,
        "max_tokens": _MAX_TOKENS,
    }
    profile_path = await _calibration(asked.settings(**common, n=_CALIBRATION_SAMPLES), others)
    plain = await _evaluation(asked.settings(**common, n=_SAMPLES), searched, "as shipped")
    used = plain.tokens_in + plain.tokens_out
    fitted = asked.settings(
        **common,
        n=_POOLED_SAMPLES,
        profile=profile_path,
        pool=_POOLED_SAMPLES * len(searched),
        budget_tokens=used,
    )
    pooled = await _evaluation(fitted, searched, "calibrated")
    rows = [_row("as shipped", plain), _row("calibrated", pooled)]
    before = [float(score.right) for score in plain.scores]
    paired = [float(score.right) - old for score, old in zip(pooled.scores, before, strict=True)]
    lot = random.Random(asked.seed)
    size = len(paired)
    spread = interval([sum(lot.choices(paired, k=size)) / size for _ in range(ROUNDS)])
    more = sum(paired) / size
    data = {"rows": [asdict(row) for row in rows], "more": more, "more_interval": spread}
    return Section(_lines(rows, more, spread, asked), data)


async def _calibration(settings: Settings, tasks: Sequence[Task]) -> Path:
    """The calibrated profile's file: as it lies there, or made now."""
    folder = runs_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    model = settings.model.rpartition("/")[2]
    path = folder / f"bench-routing-{model}-{settings.seed}-{len(tasks)}.toml"
    if path.is_file():
        read_profile(path)
        return path
    report("calibrating on tasks that are used for nothing else")
    run = _open(alike(settings), "calibration", tasks)
    try:
        async with open_tiers(settings) as tiers, open_bench(settings, tasks) as bench:
            found = await Calibration(
                settings=settings,
                protocol=Protocol.GIVEN,
                bench=bench,
                tiers=tiers,
                run=run,
                recorded=lambda one: report(f"  {one.task_id}"),
            ).record(tasks)
    finally:
        run.close()
    fitted: Profile = calibrated(found, seed=settings.seed, model=settings.model)
    write_profile(path, fitted)
    return path


async def _evaluation(settings: Settings, tasks: Sequence[Task], name: str) -> EvalReport:
    run = _open(settings, name, tasks)
    done = run.folder / "report.json"
    try:
        if done.is_file():
            return EvalReport.model_validate(json.loads(done.read_text(encoding="utf-8")))
        report(f"searching {name}: {run.folder}")
        async with open_tiers(settings) as tiers, open_bench(settings, tasks) as bench:
            return await Evaluation(
                settings=settings,
                protocol=Protocol.GIVEN,
                bench=bench,
                tiers=tiers,
                run=run,
                scored=lambda score: report(f"  {score.task_id}: {score.right}"),
            ).evaluate(tasks)
    finally:
        run.close()


def _open(settings: Settings, name: str, tasks: Sequence[Task]) -> Run:
    """The run of that name, to go on with, or a new one."""
    what = {"command": f"bench routing: {name}", "tasks": [task.id for task in tasks]}
    try:
        return Run.resume(settings, what, LAST)
    except RunError:
        return Run.start(settings, what)


def _row(name: str, found: EvalReport) -> Row:
    return Row(
        name,
        found.tasks,
        found.solved,
        wilson_interval(found.solved, found.tasks),
        found.mean_samples,
        found.tokens_out,
        found.tokens_in + found.tokens_out,
    )


def _lines(
    rows: Sequence[Row], more: float, spread: tuple[float, float], asked: SearchOptions
) -> list[str]:
    lines = [
        f"Routing on {asked.model}, tests given, calibrated on other tasks; equal tokens in all",
        "",
        f"{'solved':>10}{'':18}{'samples':>9}{'out':>9}{'in and out':>12}  run",
    ]
    for row in rows:
        low, high = row.interval
        lines.append(
            f"{row.solved:>4} of {row.tasks:<3}[{low:6.1%}, {high:6.1%}]"
            f"{row.samples:>9.1f}{row.tokens_out:>9}{row.tokens:>12}  {row.run}"
        )
    lines.append(f"calibrated solves {more:+.1%} [{spread[0]:+.1%}, {spread[1]:+.1%}] of the tasks")
    return lines
