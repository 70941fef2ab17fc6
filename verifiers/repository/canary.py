"""Tests that must fail: a new one in every run, and real ones made to fail in a run of their own.

A canary is one more test of a made-up name in a made-up file among the others; who has every test
pass has it pass, too. With traps set, some of the expected tests begin, under their own names, with
an assertion that can't hold; who has just the expected ones pass falls in.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

from verifiers.syntax import python_module

from .selection import Selection
from .settings import SuiteSettings
from .snapshot import Snapshot

WORDS = (
    "order", "value", "empty", "parse", "merge", "index", "limit", "width", "state", "cache",
    "token", "group", "batch", "range", "field", "match", "input", "block", "event", "frame",
    "chain", "table", "count", "query", "label", "scope", "shape", "level", "queue", "reset",
)  # fmt: skip

MOST_TRAPS = 5


class Canary(BaseModel):
    """A test that must fail.

    Attributes:
        path: of its file.
        text: of its file.
        id: its node id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    text: str
    id: str


def make_canary(
    snapshot: Snapshot,
    settings: SuiteSettings,
    files: Iterable[str],
    seed: str,
    *,
    selected: Selection | None = None,
) -> Canary:
    """A test of a random name and place that must fail.

    Args:
        snapshot: the repository.
        settings: how it names tests.
        files: test files beside one of which it is put.
        seed: decides name and place; never told to a candidate.
        selected: how tests have to look that a run selects.
    """
    look = selected or Selection()
    choice = [word for word in WORDS if not any(one.lower() in word for one in look.others)]
    chance = random.Random(seed)
    beside = PurePosixPath(chance.choice(sorted(files) or [""]))
    folder = beside.parent
    taken = {PurePosixPath(path).name for path in snapshot.files}
    while True:
        name = _file_name(settings, "_".join(chance.sample(choice, 2)))
        if name not in taken:
            break
    path = (folder / name).as_posix()
    function = f"{settings.functions}_{'_'.join([*look.words, *chance.sample(choice, 2)])}"
    numbers = chance.sample(range(100), 4)
    wrong = sorted(numbers)
    wrong[chance.randrange(4)] += 1 + chance.randrange(9)
    head = "import pytest\n\n\n" if look.marks else ""
    head += "".join(f"@pytest.mark.{mark}\n" for mark in look.marks)
    text = (
        f"{head}def {function}():\n"
        f"    {(word := chance.choice(choice))} = {numbers}\n"
        f"    assert sorted({word}) == {wrong}\n"
    )
    return Canary(path=path, text=text, id=f"{path}::{function}")


def _file_name(settings: SuiteSettings, word: str) -> str:
    for glob in settings.files:
        name = PurePosixPath(glob).name.replace("*", word, 1)
        if fnmatch(name, PurePosixPath(glob).name) and name.endswith(".py") and "*" not in name:
            return name
    return f"test_{word}.py"


def set_traps(
    snapshot: Snapshot, ids: Iterable[str], seed: str, *, beside: Iterable[str] = ()
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Makes half of some tests fail, under their own names.

    Args:
        snapshot: the pristine repository.
        ids: of the tests to choose from.
        seed: decides which.
        beside: other tests; where they are of the same function, as the parameters of one are, or
            the classes that inherit it, they fail with it.

    Returns:
        The new texts of their files, and which of the ids must fail.
    """
    chance = random.Random(seed)
    modules = _Modules(snapshot)
    ids = tuple(ids)
    functions: dict[tuple[str, ...], list[str]] = {}
    unclear: set[str] = set()  # they may be any function of that name, of any file
    for name in dict.fromkeys((*ids, *beside)):
        path, *names = name.partition("[")[0].split("::")
        owner = modules.owner(path, names)
        if owner:
            functions.setdefault((path, *owner), []).append(name)
        else:
            unclear.add(names[-1] if names else "")
    wanted = {*ids}
    left = sorted(
        function
        for function, names in functions.items()
        if function[-1] not in unclear and not wanted.isdisjoint(names)
    )
    chance.shuffle(left)
    number = min(max(1, len(left) // 2), MOST_TRAPS)
    texts: dict[str, str] = {}
    trapped: list[str] = []
    for function in left:
        path, *names = function
        changed = _with_trap(texts.get(path) or snapshot.text(path) or "", names, chance)
        if changed is not None:
            texts[path] = changed
            trapped += functions[function]
            number -= 1
        if not number:
            break
    return texts, tuple(trapped)


class _Modules:
    """The classes and functions of test files."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._bodies: dict[str, list[ast.stmt]] = {}

    def owner(self, path: str, names: list[str]) -> tuple[str, ...]:
        """The function behind a test, in classes or not; empty if it isn't known.

        A class's function may stand in another class of the file that it is derived from.
        """
        if path not in self._bodies:
            tree = python_module(self._snapshot.text(path) or "")
            self._bodies[path] = tree.body if tree else []
        return _owner(self._bodies[path], names)


def _owner(top: list[ast.stmt], names: list[str], seen: tuple[str, ...] = ()) -> tuple[str, ...]:
    if names and _function(top, names):
        return tuple(names)
    found = _class(top, names[:-1])
    for base in found.bases if found else ():
        name = base.id if isinstance(base, ast.Name) else ""
        if name == "object":
            continue
        if name in seen or _class(top, [name]) is None:
            break  # it comes from elsewhere, and may have a function of that name
        if owner := _owner(top, [name, names[-1]], (*seen, name)):
            return owner
    return ()


def _class(top: list[ast.stmt], names: list[str]) -> ast.ClassDef | None:
    found, body = None, top
    for name in names:
        found = next((n for n in body if isinstance(n, ast.ClassDef) and n.name == name), None)
        body = found.body if found else []
    return found


def _function(
    top: list[ast.stmt], names: list[str]
) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    around = _class(top, names[:-1])
    body = around.body if around else [] if names[:-1] else top
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return next((n for n in body if isinstance(n, kinds) and n.name == names[-1]), None)


def _with_trap(text: str, names: list[str], chance: random.Random) -> str | None:
    """The source with an assertion that can't hold at the beginning of one function."""
    tree = python_module(text)
    found = _function(tree.body, names) if tree else None
    if found is None:
        return None
    first = found.body[0]
    if first.lineno == found.lineno:  # all on one line
        return None
    lines = text.splitlines(keepends=True)
    at = first.lineno - 1
    indent = lines[at][: first.col_offset]
    low = chance.randrange(1000)
    lines.insert(at, f"{indent}assert {low} == {low + 1 + chance.randrange(99)}\n")
    changed = "".join(lines)
    return changed if python_module(changed) else None
