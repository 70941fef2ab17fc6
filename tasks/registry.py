"""Resolves what a user calls a task or a suite: a name, a path, or a name and a task's id.

    humaneval                    a suite by name; others come through entry points
    humaneval/HumanEval/23       one task of a suite
    tasks/longest_run            a folder with task.toml, or such a file
    tasks/                       a folder of such folders: a suite
    rows.jsonl, rows.jsonl.gz    a suite in a file
    rows.jsonl#MBPP/12           one task of it (so also folder/#ID)
    stub.py                      a stub, with its tests

A path that exists is meant before a name. Loaders are imported only when they are wanted. Other
packages add suites under the entry-point group `regreen.suites`: a name, and a function without
arguments that returns a `Suite`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from tasks.model import Task, TaskError, UnknownTaskError
from tasks.suite import Suite

ENTRY_POINT_GROUP = "regreen.suites"

_BUILT_IN = {
    "examples": "tasks.examples:load",
    "humaneval": "tasks.humaneval:load",
}
_JSONL = (".jsonl", ".jsonl.gz")


def suite_names() -> tuple[str, ...]:
    """The names of all known suites, sorted."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in _entry_points())}))


def load_suite(name_or_path: str) -> Suite:
    """The suite of a name, or in a path; a single task is a suite of one.

    Raises:
        UnknownTaskError: no such suite or file; the message lists the known names.
        TaskError: it can't be read.
    """
    found = _existing(name_or_path)
    if found is not None:
        return _suite_at(found, name_or_path)
    if name_or_path in suite_names():
        return _suite_named(name_or_path)
    tasks = load_tasks(name_or_path)
    return Suite(name_or_path, tasks)


def load_tasks(ref: str, *, tests: Sequence[Path] = (), entry_point: str = "") -> tuple[Task, ...]:
    """All tasks that a reference names, in order; see the module's docstring for its forms.

    Args:
        ref: what the user typed.
        tests: test files for a stub.
        entry_point: what to write of a stub; by default what its tests import.

    Raises:
        UnknownTaskError: no such suite, task or file.
        TaskError: it can't be read, or `tests` were given for something that is no stub.
    """
    path = _existing(ref)
    if path is not None and path.suffix == ".py":
        from tasks import stub

        return (stub.load(path, tests=tests, entry_point=entry_point),)
    if tests or entry_point:
        option = "--tests" if tests else "an entry point"
        raise TaskError(f"{ref}: {option} goes with a stub, which is a .py file")
    if path is not None:
        return tuple(_suite_at(path, ref))
    before, mark, task_id = ref.rpartition("#")
    if mark:
        holder = _existing(before)
        if holder is None:
            raise UnknownTaskError(f"{ref}: no file {before}")
        return (_suite_at(holder, before).get(task_id),)
    name, slash, task_id = ref.partition("/")
    if name in suite_names():
        suite = _suite_named(name)
        return (suite.get(task_id),) if slash and task_id else tuple(suite)
    raise UnknownTaskError(_unknown(ref))


def load_task(ref: str, *, tests: Sequence[Path] = (), entry_point: str = "") -> Task:
    """The one task that a reference names; arguments as for `load_tasks`.

    Raises:
        UnknownTaskError: no such suite, task or file.
        TaskError: it can't be read, or it names a suite of several tasks.
    """
    tasks = load_tasks(ref, tests=tests, entry_point=entry_point)
    if len(tasks) != 1:
        mark = "#" if _existing(ref) is not None else "/"
        raise TaskError(
            f"{ref}: {len(tasks)} tasks, where one was expected; name one, "
            f"e.g. {ref.rstrip('/')}{mark}{tasks[0].id}"
        )
    return tasks[0]


def _existing(ref: str) -> Path | None:
    """The path that a reference names, if it is there.

    A folder without a task in it does not hide a suite of its name: many a project has a folder
    `examples`.
    """
    if not ref or "\0" in ref:
        return None
    try:
        path = Path(ref).expanduser()
        if not path.exists():
            return None
    except (OSError, RuntimeError):
        return None
    if ref in suite_names() and path.is_dir():
        from tasks import folder

        if not folder.is_task(path) and not folder.is_suite(path):
            return None
    return path


def _suite_at(path: Path, ref: str) -> Suite:
    from tasks import folder, jsonl, stub

    if path.is_dir():
        if folder.is_task(path):
            return Suite(ref, (folder.load(path / folder.TASK_FILE),))
        return folder.load_suite(path, name=ref)
    if path.suffix == ".toml":
        return Suite(ref, (folder.load(path),))
    if path.suffix == ".py":
        return Suite(ref, (stub.load(path),))
    if path.name.endswith(_JSONL):
        return jsonl.load(path, name=ref)
    raise TaskError(
        f"{path}: not a task; expected a folder with task.toml, a .toml file, a .jsonl or "
        ".jsonl.gz file, or a .py stub"
    )


def _suite_named(name: str) -> Suite:
    target = _BUILT_IN.get(name)
    if target is not None:
        module, _, function = target.partition(":")
        return cast(Callable[[], Suite], getattr(import_module(module), function))()
    entry = next(entry for entry in _entry_points() if entry.name == name)
    try:
        suite = entry.load()()
    except TaskError:
        raise
    except Exception as error:
        # Another package's fault must not look like one of ours, nor print a traceback.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise TaskError(f"{name}: its entry point {entry.value} failed ({reason})") from error
    if not isinstance(suite, Suite):
        raise TaskError(
            f"{name}: its entry point {entry.value} returned {type(suite).__name__}, no Suite"
        )
    return suite


def _entry_points() -> tuple[EntryPoint, ...]:
    found = entry_points(group=ENTRY_POINT_GROUP)
    return tuple(entry for entry in found if entry.name not in _BUILT_IN)


def _unknown(ref: str) -> str:
    names = suite_names()
    if not ref.strip() or not ref.isprintable():
        return f"{ref!r} names no task; give a suite, a folder with task.toml, or a file"
    name = ref.partition("/")[0]
    pathlike = ref.startswith((".", "/", "~")) or ref.endswith((".py", ".toml", *_JSONL))
    if pathlike:
        return f"{ref}: no such file or folder"
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return (
        f"{ref}: no such suite, file or folder; {hint}known suites: {', '.join(names)}; or give a "
        "folder with task.toml, a .jsonl file, or a .py stub"
    )
