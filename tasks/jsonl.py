"""Suites in JSON lines, plain or gzipped: HumanEval's own rows, or Regreen's.

HumanEval's row, taken as it is (further keys are ignored):

    {"task_id": "T/1", "prompt": "def f(x): ...", "entry_point": "f", "test": "def check(c): ..."}

`test` is hidden; the examples in the prompt's docstring are visible. Regreen's own row has the
fields of `PublicTask`, with `tests` for what is visible and `hidden` for what scores; both are
the text of a test file, a list of such texts, or `{"cases": [{"name", "stdin", "stdout"}]}`:

    {"id": "double", "prompt": "...", "entry_point": "double", "tests": "assert double(2) == 4"}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from tasks.assemble import assemble, first_problem
from tasks.docstring import docstring_examples
from tasks.files import read_lines
from tasks.model import (
    AssertTests,
    PublicTask,
    StdioCase,
    StdioTests,
    Task,
    TaskError,
    TaskLimits,
    Tests,
)
from tasks.source import classify_tests, is_check, kind_of_entry, parse
from tasks.suite import Suite

_EXPECTED = "expected an object with task_id, prompt, entry_point and test on each line"


class _Cases(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: tuple[StdioCase, ...] = Field(min_length=1)


_TestField = str | list[str] | _Cases | None


class _Row(BaseModel):
    """One line. Unknown keys are ignored, since benchmarks carry many of their own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(validation_alias=AliasChoices("task_id", "id"), min_length=1)
    prompt: str = Field(min_length=1)
    entry_point: str = ""
    entry_kind: Literal["function", "class", "program"] | None = None
    module: str = "solution"
    language: str = "python"
    test: str | None = None
    tests: _TestField = None
    hidden: _TestField = None
    start: str = ""
    limits: TaskLimits = TaskLimits()
    mutates: bool = False
    requirements: tuple[str, ...] = ()


class _Place(NamedTuple):
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def load(path: Path, *, name: str = "") -> Suite:
    """The suite in a `.jsonl` or `.jsonl.gz` file.

    Args:
        path: the file.
        name: the suite's name; by default the path.

    Raises:
        TaskError: names the file and line, and what was expected.
    """
    first_seen: dict[str, int] = {}
    tasks: list[Task] = []
    for place, row in _rows(path):
        if row.id in first_seen:
            raise TaskError(
                f"{place}: id {row.id!r} was used on line {first_seen[row.id]} already; "
                "ids must be unique"
            )
        first_seen[row.id] = place.line
        tasks.append(_task(row, place))
    if not tasks:
        raise TaskError(f"{path}: empty; {_EXPECTED}")
    return Suite(name or str(path), tasks)


def _rows(path: Path) -> Iterator[tuple[_Place, _Row]]:
    for number, line in read_lines(path):
        place = _Place(path, number)
        yield place, _row(line, place)


def _row(line: str, place: _Place) -> _Row:
    try:
        data: Any = json.loads(line)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at column {error.colno}"
        raise TaskError(f"{place}: not JSON ({reason}); {_EXPECTED}") from None
    except (RecursionError, ValueError) as error:
        raise TaskError(f"{place}: not JSON ({error}); {_EXPECTED}") from None
    if not isinstance(data, dict):
        raise TaskError(f"{place}: {type(data).__name__}, not an object; {_EXPECTED}")
    try:
        return _Row.model_validate(data)
    except ValidationError as error:
        field, message = first_problem(error)
        raise TaskError(f"{place}: {field}: {message}; {_EXPECTED}") from None


def _task(row: _Row, place: _Place) -> Task:
    if row.test is not None and (row.tests is not None or row.hidden is not None):
        raise TaskError(f"{place}: both test and tests/hidden; give HumanEval's keys or Regreen's")
    visible = _tests(row.tests, place, "tests")
    hidden = _hidden(row, place)
    kind = row.entry_kind
    if kind is None:
        kind = kind_of_entry(row.prompt, row.entry_point)
        if not row.entry_point and any(isinstance(tests, StdioTests) for tests in visible + hidden):
            kind = "program"
    if not visible and kind == "function":
        examples = docstring_examples(row.prompt, row.entry_point)
        visible = (examples,) if examples else ()
    public = PublicTask(
        id=row.id,
        prompt=row.prompt,
        entry_point=row.entry_point,
        entry_kind=kind,
        module=row.module,
        # HumanEval's rows are Python; some collections put other words here.
        language="python" if row.test is not None else row.language,
        visible=visible,
        start=row.start,
        limits=row.limits,
        mutates=row.mutates,
        requirements=row.requirements,
        source=str(place),
    )
    return assemble(public, hidden=hidden, load_hidden=partial(_read_hidden, place, row.id))


def _read_hidden(place: _Place, task_id: str) -> tuple[Tests, ...]:
    """Reads a row's hidden tests from the file again."""
    for number, line in read_lines(place.path):
        if number == place.line:
            row = _row(line, place)
            if row.id == task_id:
                return _hidden(row, place)
            break
    raise TaskError(f"{place}: task {task_id!r} is no longer here; the file changed since loading")


def _hidden(row: _Row, place: _Place) -> tuple[Tests, ...]:
    if row.test is None:
        return _tests(row.hidden, place, "hidden")
    if is_check(parse(row.test, f"{place}: test")):
        return (AssertTests(source=row.test, function="check"),)
    return (classify_tests(row.test, name=f"{place}: test", filename="tests.py"),)


def _tests(field: _TestField, place: _Place, key: str) -> tuple[Tests, ...]:
    match field:
        case None:
            return ()
        case _Cases(cases=cases):
            return (StdioTests(cases=cases),)
        case str():
            texts: Sequence[str] = [field]
        case _:
            texts = field
    numbered = [key] if len(texts) == 1 else [f"{key}_{n}" for n in range(1, len(texts) + 1)]
    return tuple(
        classify_tests(text, name=f"{place}: {key}", filename=f"test_{number}.py")
        for text, number in zip(texts, numbered, strict=True)
    )
