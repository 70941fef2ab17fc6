"""A task as a folder: `task.toml`, test files, and cases for a program on stdin and stdout.

    task.toml
    test_*.py           visible test files           (or: tests = [...])
    hidden/test_*.py    tests for scoring only       (or: hidden_tests = [...])
    cases/NAME.in       what the program reads, NAME.out what it shall write, and, where it
                        takes arguments, NAME.args with one a line   (or: cases = "...")
    hidden_cases/       the same, for scoring only   (or: hidden_cases = "...")

Keys of `task.toml`, of which only `prompt` (or `prompt_file`) is required:

    id             default: the folder's name
    prompt         what the model is asked: a stub with docstring, or prose
    prompt_file    a file with it
    entry_point    what the tests call; default: the last function or class in the prompt
    entry_kind     "function", "class" or "program"; default: told by prompt and tests
    language       default: "python"; any other needs cases
    module         the module under whose name tests import the solution; default: "solution"
    start          a file with the program to begin from
    mutates        whether in-place changes of arguments are part of the answer
    requirements   packages that the program needs: ["numpy>=2"]
    [limits]       cpu_seconds, wall_seconds, memory_mb, pids, output_bytes, file_mb
    [weights], [hidden_weights]   weight of a test or case, by name; the others weigh 1

All files must lie in the folder. A folder of such folders is a suite.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.assemble import assemble, first_problem
from tasks.docstring import docstring_examples
from tasks.files import read_text
from tasks.model import PublicTask, StdioCase, StdioTests, Task, TaskError, TaskLimits, Tests
from tasks.source import classify_tests, kind_of_entry, last_definition
from tasks.suite import Suite

TASK_FILE = "task.toml"


class _TaskFile(BaseModel):
    """What `task.toml` may say; see the module's docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = ""
    prompt: str = ""
    prompt_file: str = ""
    entry_point: str = ""
    entry_kind: Literal["function", "class", "program"] | None = None
    language: str = Field(default="python", min_length=1)
    module: str = Field(default="solution", pattern=r"^[A-Za-z_]\w*$")
    start: str = ""
    mutates: bool = False
    requirements: list[str] = Field(default_factory=list)
    tests: list[str] | None = None
    hidden_tests: list[str] | None = None
    cases: str | None = None
    hidden_cases: str | None = None
    limits: TaskLimits = TaskLimits()
    weights: dict[str, float] = Field(default_factory=dict)
    hidden_weights: dict[str, float] = Field(default_factory=dict)


def is_task(path: Path) -> bool:
    """Whether a folder holds a task."""
    return (path / TASK_FILE).is_file()


def is_suite(path: Path) -> bool:
    """Whether a folder holds folders that hold tasks."""
    return path.is_dir() and any(is_task(child) for child in path.iterdir())


def load_suite(path: Path, *, name: str = "") -> Suite:
    """The tasks in the folders of a folder, ordered by folder name.

    Raises:
        TaskError: none of them holds a task, or one of the tasks is wrong.
    """
    folders = sorted(child for child in path.iterdir() if is_task(child))
    if not folders:
        raise TaskError(f"{path}: no {TASK_FILE} in it, nor in a folder of it")
    return Suite(name or str(path), (load(folder / TASK_FILE) for folder in folders))


def load(path: Path) -> Task:
    """The task that a TOML file describes; test files and cases lie beside it.

    Args:
        path: `task.toml`, or a TOML file of another name.

    Raises:
        TaskError: names the file, the line where there is one, and what was expected.
    """
    spec = _read_spec(path)
    folder = path.parent
    prompt = _prompt(spec, path)
    visible = _read_tests(folder, _visible_files(spec, folder), spec.weights)
    hidden_files = _hidden_files(spec, folder)
    hidden = _read_tests(folder, hidden_files, spec.hidden_weights)
    start = read_text(_inside(folder, spec.start), what="program") if spec.start else ""
    entry_point, kind = _entry(spec, prompt, start, [*visible, *hidden])
    if not visible and kind == "function" and spec.language == "python":
        examples = docstring_examples(prompt, entry_point)
        visible = (examples,) if examples else ()
    public = PublicTask(
        id=spec.id or _default_id(path),
        prompt=prompt,
        entry_point=entry_point,
        entry_kind=kind,
        module=spec.module,
        language=spec.language,
        visible=visible,
        start=start,
        limits=spec.limits,
        mutates=spec.mutates,
        requirements=tuple(spec.requirements),
        source=str(path),
    )
    reload = partial(_read_tests, folder, hidden_files, spec.hidden_weights)
    return assemble(public, hidden=hidden, load_hidden=reload)


def _default_id(path: Path) -> str:
    return path.resolve().parent.name if path.name == TASK_FILE else path.stem


def _read_spec(path: Path) -> _TaskFile:
    text = read_text(path, what="task file")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = position.group(1) if position else text.count("\n") + 1
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise TaskError(f"{path}:{line}: not TOML: {reason}") from None
    except RecursionError:
        raise TaskError(f"{path}:1: not TOML: nested too deeply") from None
    for key in data:
        if key not in _TaskFile.model_fields:
            near = get_close_matches(key, _TaskFile.model_fields, n=1)
            hint = f"did you mean {near[0]}?" if near else _known_keys()
            raise TaskError(f"{path}:{_line_of(text, key)}: unknown key {key!r}; {hint}")
    try:
        return _TaskFile.model_validate(data)
    except ValidationError as error:
        field, message = first_problem(error)
        line = _line_of(text, field.split(".")[0], field.split(".")[-1])
        raise TaskError(f"{path}:{line}: {field}: {message}") from None


def _known_keys() -> str:
    return f"known keys: {', '.join(_TaskFile.model_fields)}"


def _line_of(text: str, *keys: str) -> int:
    """The line on which a key stands, as near as can be told; the last of `keys` is best."""
    for key in reversed(keys):
        found = re.search(rf'^[ \t]*\[?"?{re.escape(key)}"?[ \t]*[=\].]', text, re.MULTILINE)
        if found:
            return text.count("\n", 0, found.start()) + 1
    return 1


def _inside(folder: Path, name: str) -> Path:
    """The path of a task's file. A task from a stranger must not reach out of its folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise TaskError(f"{folder}: {name!r} lies outside the task's folder")
    return path


def _prompt(spec: _TaskFile, path: Path) -> str:
    if bool(spec.prompt.strip()) == bool(spec.prompt_file):
        given = "both are given" if spec.prompt_file else "neither is given"
        raise TaskError(f"{path}: give one of prompt and prompt_file; {given}")
    if spec.prompt_file:
        return read_text(_inside(path.parent, spec.prompt_file), what="prompt file")
    return spec.prompt


# A file of tests, or a folder of cases, by its name within the task's folder.
_Source = tuple[Literal["file", "cases"], str]


def _visible_files(spec: _TaskFile, folder: Path) -> list[_Source]:
    return _sources(folder, spec.tests, "test_*.py", spec.cases, "cases")


def _hidden_files(spec: _TaskFile, folder: Path) -> list[_Source]:
    return _sources(
        folder, spec.hidden_tests, "hidden/test_*.py", spec.hidden_cases, "hidden_cases"
    )


def _sources(
    folder: Path, files: Sequence[str] | None, pattern: str, cases: str | None, usual_cases: str
) -> list[_Source]:
    if files is None:
        files = [str(path.relative_to(folder)) for path in sorted(folder.glob(pattern))]
    if cases is None and (folder / usual_cases).is_dir():
        cases = usual_cases
    found: list[_Source] = [("file", name) for name in files]
    return [*found, ("cases", cases)] if cases else found


def _read_tests(
    folder: Path, sources: Sequence[_Source], weights: Mapping[str, float]
) -> tuple[Tests, ...]:
    """Reads test files and cases; for hidden ones this is what scoring calls again."""
    found: list[Tests] = []
    for kind, name in sources:
        path = _inside(folder, name)
        if kind == "cases":
            found.append(_read_cases(folder, path, weights))
        else:
            text = read_text(path, what="test file")
            found.append(classify_tests(text, name=str(path), weights=dict(weights)))
    return tuple(found)


def _read_cases(root: Path, folder: Path, weights: Mapping[str, float]) -> StdioTests:
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder of cases (NAME.in and NAME.out)")
    for path in sorted(folder.glob("*.in")):
        if not path.with_suffix(".out").is_file():
            raise TaskError(f"{path}: there is no {path.stem}.out beside it")

    def part(path: Path) -> str:
        inside = _inside(root, str(path.relative_to(root)))
        return read_text(inside, what="case", empty=True) if inside.is_file() else ""

    cases = tuple(
        StdioCase(
            name=path.stem,
            stdin=part(path.with_suffix(".in")),
            stdout=part(path),
            args=tuple(part(path.with_suffix(".args")).splitlines()),
            weight=weights.get(path.stem, 1.0),
        )
        for path in sorted(folder.glob("*.out"))
    )
    if not cases:
        raise TaskError(f"{folder}: no case in it; expected NAME.in and NAME.out")
    return StdioTests(cases=cases)


def _entry(
    spec: _TaskFile, prompt: str, start: str, tests: Sequence[Tests]
) -> tuple[str, Literal["function", "class", "program"]]:
    """The entry point and its kind, as far as the file leaves them to be told."""
    only_cases = bool(tests) and all(isinstance(one, StdioTests) for one in tests)
    if spec.entry_kind == "program" or (only_cases and spec.entry_kind is None):
        return spec.entry_point, "program"
    name = spec.entry_point or last_definition(prompt) or last_definition(start)
    kind = kind_of_entry(prompt, name)
    if kind == "function" and start:
        kind = kind_of_entry(start, name)
    return name, spec.entry_kind or kind
