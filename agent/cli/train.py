"""`regreen train-reward`: journals in, a learned reward out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli import options
from agent.cli.exits import Exit
from agent.cli.flags import with_settings
from agent.cli.output import emit, emit_json, short
from agent.reward.fitting import fit_reward
from agent.reward.journals import gather
from agent.reward.model import RewardModel, write_reward
from agent.run import runs_folder
from agent.settings import Settings

Which = Annotated[
    list[str], typer.Argument(help="Runs: their ids, or their folders.", metavar="RUN...")
]
Where = Annotated[Path, typer.Option("--output", "-o", help="The model: a JSON file.")]
_BAR = 40


@with_settings({"runs": options.Runs, "seed": options.Seed})
def train_reward(
    *,
    settings: Settings,
    which: Which,
    output: Where = Path("reward.json"),
    as_json: options.AsJson = False,
) -> int:
    """Learn from recorded runs which programs pass tests that they were not shown."""
    root = runs_folder(settings)
    folders = [Path(name) if Path(name).is_dir() else root / name for name in which]
    found = gather(folders, seed=settings.seed)
    model = fit_reward(found.cases, seed=settings.seed, about=found.about)
    write_reward(output, model)
    if as_json:
        emit_json(model.training.model_dump(mode="json"))
    else:
        _print(model, output)
    return Exit.VERIFIED


def _print(model: RewardModel, output: Path) -> None:
    about, by = model.training, short(", ".join(model.training.models))
    emit(
        f"{about.tasks} tasks with tests to hold out, {about.programs} programs of {by}, "
        f"{about.cases} groups; {model.model.kind}, {about.library}"
    )
    emit(
        f"on tasks it has not seen: area under the curve {about.auc:.3f} "
        f"(ranked by size {about.by_size:.3f}), calibration error {about.error:.3f}"
    )
    emit("   said  right  share")
    for row in about.reliability:
        marks = ["·"] * (_BAR + 1)
        marks[: round(row.right * _BAR)] = ["█"] * round(row.right * _BAR)
        marks[round(row.said * _BAR)] = "|"
        emit(f"  {row.said:>5.2f}  {row.right:>5.2f}  {row.share:>5.1%}  {''.join(marks)}")
    emit(f"reward model {output}: use it with --reward-model {output}")
