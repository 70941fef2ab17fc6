"""Puts results where they were asked for: standard output, or files."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.cli.exits import OutputError

# Bidirectional controls can make a program look like another one, the rest can steer a terminal.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_TEXT_CHARS = 160


def clean(text: str) -> str:
    """Text of a stranger without anything that could steer a terminal."""
    return _CONTROLS.sub("�", text)


def short(text: str, limit: int = _TEXT_CHARS) -> str:
    """One clean line, cut to a length."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def emit(text: str) -> None:
    """One line of results, or several, on standard output, at once.

    Raises:
        OutputError: it can't be written.
        BrokenPipeError: nobody reads it any more.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"can't write standard output: {error.strerror}") from None


def emit_json(data: dict[str, Any]) -> None:
    """One object on one line; ASCII, so that any program's text survives any terminal.

    `##[`, anywhere in a line, begins a command to GitHub Actions; it can only stand in a string.
    """
    emit(json.dumps(data).replace("##[", "#\\u0023["))


def emit_program(program: str) -> None:
    """A whole program: to a file or a pipe as it is, to a terminal without control characters."""
    emit((clean(program) if sys.stdout.isatty() else program).removesuffix("\n"))


def write_program(path: Path, program: str) -> None:
    """Writes a program into a file.

    Raises:
        OutputError: it can't be written.
    """
    text = program if program.endswith("\n") else program + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"can't write {path}: {reason}") from None


def file_names(task_ids: Iterable[str]) -> dict[str, str]:
    """A file name for the program of each task: safe, and no two alike."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for task_id in task_ids:
        stem = re.sub(r"[^\w.-]", "_", task_id).lstrip(".") or "task"
        name, number = stem, 2
        while name.casefold() in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name.casefold())
        names[task_id] = f"{name}.py"
    return names
