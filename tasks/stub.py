"""A task from a Python stub and its tests: what a developer has at hand before writing a body.

    def longest_run(xs: list[int]) -> int:
        '''Length of the longest run of equal neighbours.'''

The tests import the stub under its own name (`from longest import longest_run`), and what they
import is the entry point. A body that is there already becomes the program to begin from.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from tasks.assemble import assemble
from tasks.docstring import docstring_examples
from tasks.files import read_text
from tasks.model import AssertTests, PublicTask, PytestTests, Task, TaskError
from tasks.source import (
    Definition,
    classify_tests,
    definitions,
    names_in,
    names_used_from,
    parse,
)


def load(path: Path, *, tests: Sequence[Path] = (), entry_point: str = "") -> Task:
    """The task of a stub.

    Args:
        path: the stub, a `.py` file.
        tests: test files, or folders with `test_*.py`. Without any, `test_NAME.py` beside the
            stub or in `tests/` is taken, and failing that the examples in its docstring.
        entry_point: what to write; by default what the tests import.

    Raises:
        TaskError: no function or class in the stub, no tests, or a file that can't be used.
    """
    source = read_text(path, what="stub")
    tree = parse(source, str(path))
    defined = {definition.name: definition for definition in definitions(tree)}
    if not defined:
        raise TaskError(f"{path}: no function or class in it, so there is no entry point")
    module = path.stem
    files = [file for given in tests for file in _files(given)] or _beside(path)
    loaded = [
        classify_tests(read_text(file, what="test file"), name=str(file), filename=file.name)
        for file in files
    ]
    entry = _entry(path, defined, loaded, files, entry_point)
    found: list[AssertTests | PytestTests] = list(loaded)
    if not found and entry.kind == "function":
        examples = docstring_examples(source, entry.name)
        found = [examples] if examples else []
    if not found:
        raise TaskError(
            f"{path}: no tests for {entry.name}; give --tests FILE, or put test_{module}.py "
            "beside it or examples in its docstring"
        )
    public = PublicTask(
        id=module,
        prompt=source,
        entry_point=entry.name,
        entry_kind=entry.kind,
        module=module,
        visible=tuple(found),
        start="" if entry.unwritten else source,
        source=str(path),
    )
    return assemble(public)


def _files(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    found = sorted(given.glob("test_*.py")) + sorted(given.glob("*_test.py"))
    if not found:
        raise TaskError(f"{given}: no test_*.py in this folder")
    return found


def _beside(path: Path) -> list[Path]:
    """Test files named after the stub, where people put them."""
    names = [f"test_{path.stem}.py", f"{path.stem}_test.py"]
    folders = [path.parent, path.parent / "tests"]
    candidates = [folder / name for folder in folders for name in names]
    return [candidate for candidate in candidates if candidate.is_file()][:1]


def _entry(
    path: Path,
    defined: dict[str, Definition],
    tests: Sequence[AssertTests | PytestTests],
    files: Sequence[Path],
    asked: str,
) -> Definition:
    known = ", ".join(defined)
    if asked:
        if asked not in defined:
            raise TaskError(f"{path}: no {asked!r} in it; it defines {known}")
        return defined[asked]
    used: list[str] = []
    for test, file in zip(tests, files, strict=True):
        tree = parse(test.source, str(file))
        imported = names_used_from(tree, path.stem)
        for name in imported:
            if name not in defined and not _assigned(path, name):
                raise TaskError(
                    f"{file}: imports {name!r} from {path.stem}, but {path} defines {known}"
                )
        used += imported or sorted(names_in(tree) & set(defined))
    wanted = [defined[name] for name in used if name in defined] or list(defined.values())
    # Of several, the one that is yet to be written is meant; helpers have their bodies.
    unwritten = [definition for definition in wanted if definition.unwritten]
    return (unwritten or wanted)[-1]


def _assigned(path: Path, name: str) -> bool:
    """Whether the stub binds a name at top level in another way, such as a constant."""
    tree = parse(read_text(path, what="stub"), str(path))
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return name in bound | imported
