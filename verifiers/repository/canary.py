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
        beside: other tests; where they are of the same function, as the parameters of one are, they
            fail with it.

    Returns:
        The new texts of their files, and which of the ids must fail.
    """
    chance = random.Random(seed)
    functions: dict[str, list[str]] = {}
    ids = tuple(ids)
    others = [name for name in beside if name not in ids]
    for name in ids:
        functions.setdefault(name.partition("[")[0], []).append(name)
    left = sorted(functions)
    chance.shuffle(left)
    wanted = min(max(1, len(left) // 2), MOST_TRAPS)
    texts: dict[str, str] = {}
    trapped: list[str] = []
    for function in left:
        path, *names = function.split("::")
        text = texts.get(path) or snapshot.text(path)
        if text is None or not names:
            continue
        changed = _with_trap(text, names, chance)
        if changed is not None:
            texts[path] = changed
            trapped += functions[function]
            trapped += [name for name in others if name.partition("[")[0] == function]
            wanted -= 1
        if not wanted:
            break
    return texts, tuple(trapped)


def _with_trap(text: str, names: list[str], chance: random.Random) -> str | None:
    """The source with an assertion that can't hold at the beginning of one function."""
    try:
        body: list[ast.stmt] = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return None
    for name in names[:-1]:
        body = next((n.body for n in body if isinstance(n, ast.ClassDef) and n.name == name), [])
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = next((n for n in body if isinstance(n, kinds) and n.name == names[-1]), None)
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
    return changed if _parses(changed) else None


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True
