"""All commands, and how their words are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.exits import Exit
from agent.cli.interrupt import ending

_RESUME = "--resume"

COMMANDS = {
    "solve": "solve.solve",
    "verify": "verify.verify",
    "eval": "evaluate.evaluate",
    "calibrate": "calibrate.calibrate",
    "train-reward": "train.train_reward",
    "fix": "fix.fix",
    "doctor": "doctor.doctor",
    "config": "config.app",
    "github": "github.app",
    "model": "model.app",
    "sandbox": "sandbox.app",
}
"""The module of each command beside this one, and what it is called there; `app` is a group."""


def _version(wanted: bool) -> None:
    if wanted:
        try:
            found = version("regreen")
        except PackageNotFoundError:
            found = "unknown"
        print(f"regreen {found}")
        raise typer.Exit


def _root(
    _version_wanted: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Writes code by search and proves it by running it."""


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands; the module of each is imported for it."""
    app = typer.Typer(
        name="regreen",
        help="Writes code by search and proves it by running it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in names:
        _add(app, name)
    return app


def _add(app: typer.Typer, name: str) -> None:
    module, _, called = COMMANDS[name].partition(".")
    found: Any = getattr(import_module(f"agent.cli.{module}"), called)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        command: Callable[..., Any] = ending(found)
        app.command(name)(command)


def run(words: list[str]) -> int:
    """Runs the command that the words name and returns its exit code."""
    app = application(_needed(words[0] if words else ""))
    try:
        app(args=_with_resume_value(words), prog_name="regreen")
    except SystemExit as end:
        if end.code == Exit.INTERRUPTED:  # what typer makes of Ctrl-C while it reads the words
            raise KeyboardInterrupt from None
        return end.code if isinstance(end.code, int) else 0
    return 0


def _needed(word: str) -> Iterable[str]:
    """The commands to import where this is the first word: a known one needs no other."""
    if word == "--version":
        return ()
    return (word,) if word in COMMANDS else COMMANDS


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
