"""What `regreen fix` writes besides its result: files in other formats, and for GitHub Actions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.exits import OutputError, UsageError
from agent.cli.output import emit
from agent.fix.outputs import github
from agent.fix.outputs.base import Render, Story
from agent.fix.outputs.registry import UnknownOutputError, find_output

_PANEL = "Output"

FailedFrom = Annotated[
    Path | None,
    typer.Option(
        help="JUnit XML, or pytest's output, of the run whose failing tests are meant.",
        metavar="FILE",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        help="Write what a pull request should say, as Markdown.",
        metavar="FILE",
        rich_help_panel=_PANEL,
    ),
]
Patch = Annotated[
    Path | None,
    typer.Option(help="Write the unified diff.", metavar="FILE", rich_help_panel=_PANEL),
]
Junit = Annotated[
    Path | None,
    typer.Option(
        help="Write how the suite stands with the patch, as JUnit XML.",
        metavar="FILE",
        rich_help_panel=_PANEL,
    ),
]
Sarif = Annotated[
    Path | None,
    typer.Option(
        help="Write failing tests, and the patch as their fix, as SARIF 2.1.0.",
        metavar="FILE",
        rich_help_panel=_PANEL,
    ),
]
Write = Annotated[
    list[str] | None,
    typer.Option(
        help="Write another format: result, commit-message, or one that is installed.",
        metavar="FORMAT=FILE",
        rich_help_panel=_PANEL,
    ),
]
GitHub = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        help="Annotations, summary and outputs for a step of GitHub Actions; default: within one.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is wanted.

    Attributes:
        files: each with what makes it.
        github: whether a step of GitHub Actions is told.
    """

    files: tuple[tuple[Path, Render], ...]
    github: bool

    def write(self, story: Story) -> None:
        """Writes all of it; what can't be written keeps nothing else from being.

        Raises:
            OutputError: something can't be written.
        """
        failed: list[OutputError] = []
        for path, render in self.files:
            try:
                _put(path, render(story))
            except OutputError as error:
                failed.append(error)
        if self.github:
            _tell_github(story)
        if failed:
            raise failed[0]

    @contextmanager
    def uncommanded(self) -> Iterator[None]:
        """Nothing that is printed within is a command to GitHub Actions, whoever wrote it."""
        if not self.github:
            yield
            return
        before, after = github.command_fence()
        emit(before)
        try:
            yield
        finally:
            emit(after)


def choose_outputs(
    *,
    named: dict[str, Path | None],
    write: Sequence[str],
    on_github: bool | None,
    quiet: bool,
) -> Outputs:
    """Reads the words, before anything is spent.

    Args:
        named: format to the file that its own option gives, if it was given.
        write: `FORMAT=FILE`.
        on_github: as the flag says; `None` if it was not given.
        quiet: whether standard error is to stay empty.

    Raises:
        UsageError: a format is unknown, or a word is none.
    """
    chosen = [(name, path) for name, path in named.items() if path is not None]
    for word in write:
        name, mark, file = word.partition("=")
        if not (name and mark and file):
            raise UsageError(f"--write takes FORMAT=FILE (given: {word!r})")
        chosen.append((name, Path(file)))
    try:
        files = tuple((path, find_output(name)) for name, path in chosen)
    except UnknownOutputError as error:
        raise UsageError(f"--write: {error}") from None
    if on_github is None:
        on_github = os.environ.get("GITHUB_ACTIONS") == "true" and not quiet
    return Outputs(files, on_github)


def folder_in_checkout(path: Path) -> str:
    """A folder's path from the top of the git checkout that it is in; empty if it is the top."""
    here = path.resolve()
    for parent in (here, *here.parents):
        if (parent / ".git").exists():
            found = here.relative_to(parent).as_posix()
            return "" if found == "." else found
    return ""


def _tell_github(story: Story) -> None:
    for command in github.workflow_commands(story):
        print(command, file=sys.stderr, flush=True)
    summary, outputs = (
        os.environ.get(name, "") for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")
    )
    if summary:
        path = Path(summary)
        used = path.stat().st_size if path.is_file() else 0
        _put(path, github.summary(story, used=used), mode="ab")
    if outputs:
        _put(Path(outputs), github.step_outputs(story), mode="ab")


def _put(path: Path, data: bytes, mode: str = "wb") -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode) as file:
            file.write(data)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"can't write {path}: {reason}") from None
