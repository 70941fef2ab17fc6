"""All commands, and how their words are read."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from agent.cli import (
    calibrate,
    config,
    doctor,
    evaluate,
    fix,
    github,
    model,
    sandbox,
    solve,
    train,
    verify,
)
from agent.cli.interrupt import ending

_RESUME = "--resume"

app = typer.Typer(
    name="regreen",
    help="Writes code by search and proves it by running it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        try:
            found = version("regreen")
        except PackageNotFoundError:
            found = "unknown"
        print(f"regreen {found}")
        raise typer.Exit


@app.callback()
def _root(
    _version_wanted: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Writes code by search and proves it by running it."""


app.command("solve")(ending(solve.solve))
app.command("verify")(ending(verify.verify))
app.command("eval")(ending(evaluate.evaluate))
app.command("calibrate")(ending(calibrate.calibrate))
app.command("train-reward")(ending(train.train_reward))
app.command("fix")(ending(fix.fix))
app.command("doctor")(ending(doctor.doctor))
app.add_typer(config.app, name="config")
app.add_typer(github.app, name="github")
app.add_typer(model.app, name="model")
app.add_typer(sandbox.app, name="sandbox")


def run(words: list[str]) -> int:
    """Runs the command that the words name and returns its exit code."""
    try:
        app(args=_with_resume_value(words), prog_name="regreen")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _with_resume_value(words: list[str]) -> list[str]:
    """`--resume` may stand alone: then it means the newest run of the same kind."""
    out: list[str] = []
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        if word == _RESUME and not _names_a_run(following):
            out.append(f"{_RESUME}=last")
        else:
            out.append(word)
    return out


def _names_a_run(word: str) -> bool:
    if not word or word.startswith("-"):
        return False
    return (
        word == "last"
        or bool(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", word))
        or ("\0" not in word and Path(word, "manifest.json").is_file())
    )
