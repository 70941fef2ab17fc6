"""The program's entry: commands, and what happens when one of them fails or is interrupted."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import typer

from agent.cli.exits import Exit, known_error
from agent.cli.interrupt import InterruptedRunError, ending

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
    _version_wanted: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Writes code by search and proves it by running it."""


def _add_commands() -> None:
    from agent.cli import config, doctor, evaluate, model, sandbox, solve, verify

    for name, command in (
        ("solve", solve.solve),
        ("verify", verify.verify),
        ("eval", evaluate.evaluate),
        ("doctor", doctor.doctor),
    ):
        app.command(name)(ending(command))
    for name, group in (("config", config.app), ("model", model.app), ("sandbox", sandbox.app)):
        app.add_typer(group, name=name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and ends the process with one of `Exit`'s codes."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _add_commands()
        app(args=_with_resume_value(words))
    except (KeyboardInterrupt, InterruptedRunError) as error:
        _end(Exit.INTERRUPTED, str(error) or "interrupted")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read our output has seen enough
        _end(Exit.VERIFIED)
    except Exception as error:
        found = known_error(error)
        if found is None:
            raise
        _end(found[1], str(found[0]))


def _end(code: Exit, message: str = "") -> None:
    if message:
        print(f"regreen: {_one_line(message)}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(int(code))


def _one_line(message: str) -> str:
    """A message without line breaks or anything that could steer a terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", message).strip()


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
        bool(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", word))
        or os.path.isfile(  # noqa: PTH113
            os.path.join(word, "manifest.json")  # noqa: PTH118
        )
        or word == "last"
    )
