"""Puts a task together from its visible side and its hidden tests, and checks that both serve.

Hidden tests pass through here when a task is loaded, to find out early whether they parse and
whether they are hidden at all; they are not kept. Who scores reads them from their source again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tasks.model import (
    AssertTests,
    HiddenLoader,
    PublicTask,
    PytestTests,
    StdioTests,
    Task,
    TaskError,
    Tests,
)
from tasks.repeats import hidden_refused
from tasks.source import imports_module, names_in, parse

_REQUIREMENT = re.compile(r"[A-Za-z0-9][^\n\r\0]*")


def assemble(
    public: PublicTask,
    *,
    hidden: Sequence[Tests] = (),
    load_hidden: HiddenLoader | None = None,
) -> Task:
    """A task whose tests fit it.

    Args:
        public: the visible side.
        hidden: the hidden tests, looked at and let go.
        load_hidden: reads them again from their source when the score is taken.

    Raises:
        TaskError: no tests, no entry point, tests that never use the solution, bad requirements.
    """
    where = public.source or public.id
    if not public.visible and not hidden:
        raise TaskError(f"{where}: no tests; a task needs visible or hidden tests, or cases")
    if not public.id.strip():
        raise TaskError(f"{where}: the id is empty")
    for tests in [*public.visible, *hidden]:
        _check_fit(public, tests, where)
    check_requirements(public.requirements, where)
    return Task(
        public,
        load_hidden=load_hidden if hidden else None,
        hidden_refused=hidden_refused(public, hidden),
    )


def _check_fit(public: PublicTask, tests: Tests, where: str) -> None:
    if isinstance(tests, StdioTests):
        if public.entry_kind != "program":
            raise TaskError(
                f'{where}: cases of stdin and stdout need entry_kind = "program", '
                f"not {public.entry_kind!r}; test a function with a test file"
            )
        return
    if public.entry_kind == "program" or public.language != "python":
        kind = public.language if public.language != "python" else "program on stdin and stdout"
        raise TaskError(
            f"{where}: a {kind} task is tested by cases (NAME.in, NAME.out), "
            f"not by the test file {tests.filename}"
        )
    if not public.entry_point:
        raise TaskError(
            f"{where}: no entry point; name the function or class that the tests call "
            '(entry_point = "...")'
        )
    if not public.entry_point.isidentifier():
        raise TaskError(f"{where}: entry_point {public.entry_point!r} is no Python name")
    _check_use(public, tests, where)


def _check_use(public: PublicTask, tests: AssertTests | PytestTests, where: str) -> None:
    """A file that never touches the solution would pass, or fail, whatever the candidate is."""
    if isinstance(tests, AssertTests) and tests.function:
        return
    tree = parse(tests.source, tests.filename)
    if imports_module(tree, public.module):
        return
    if isinstance(tests, AssertTests) and public.entry_point in names_in(tree):
        return
    raise TaskError(
        f"{where}: {tests.filename} never uses the solution; "
        f"it should say: from {public.module} import {public.entry_point}"
    )


def check_requirements(requirements: Sequence[str], where: str) -> None:
    """Refuses what pip would take for an option (`--index-url ...`) instead of a package.

    Raises:
        TaskError: a requirement that doesn't begin with a package's name.
    """
    for requirement in requirements:
        if not _REQUIREMENT.fullmatch(requirement):
            raise TaskError(
                f"{where}: requirement {requirement!r} is not a package such as 'numpy>=2'; "
                "options of pip are not allowed here"
            )


def first_problem(error: ValidationError) -> tuple[str, str]:
    """The field and the message of a validation error's first finding.

    Returns:
        The dotted path of the field (`limits.cpu_seconds`), and what is wrong with it.
    """
    details: Mapping[str, Any] = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in details["loc"])
    if details["type"] == "missing":
        return field, "missing"
    given = repr(details.get("input"))
    message = str(details["msg"])
    message = message[:1].lower() + message[1:].removeprefix("alue error, ")
    shown = given if len(given) <= 60 else given[:57] + "..."
    return field, f"{message} (given: {shown})"
