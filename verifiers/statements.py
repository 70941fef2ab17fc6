"""Weighs top-level statements: which are the program, which only show it off, which are borrowed.

Everything here works on syntax trees; nothing is executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifiers.syntax import Module, Workbench

_RUNNERS = re.compile(r"main|check\w*|test\w*|run_?tests?\w*|demo|example\w*", re.I)
_TEST_MODULES = frozenset({"doctest", "unittest", "pytest"})


def completes(module: Module, name: str) -> bool:
    """Whether the module gives the name a meaning of its own: neither an import nor a stub."""
    if name not in module.binds:
        return False
    definitions = [s for s in module.tree.body if getattr(s, "name", None) == name]
    if definitions:
        return not _is_stub(definitions[-1])
    imported = (
        alias.asname or alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    )
    return name not in imported


def _is_stub(statement: ast.stmt) -> bool:
    """Whether a definition, or every method of a class, only stands for what is to be written."""
    body: list[ast.stmt] = getattr(statement, "body", [])
    return all(
        isinstance(part, ast.Pass)
        or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        or (isinstance(part, ast.Raise) and "NotImplemented" in ast.dump(part))
        or (
            isinstance(statement, ast.ClassDef)
            and isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            and _is_stub(part)
        )
        for part in body
    )


def strip_demos(module: Module, name: str, bench: Workbench) -> Module:
    """The program without top-level code that only tries it out: prints, asserts, sample calls.

    Definitions, assignments that something else uses, and `if __name__ == ...` stay.
    """
    body = module.tree.body
    demos = [s for s in body if is_demo(s, name) or _is_word(s, module.needs)]
    # `result = f(3)` goes too, where only the demonstration looked at `result`.
    samples = [s for s in body if _is_plain_assignment(s) and _calls(s, {name, "input"})]
    plain: list[ast.stmt] = [s for s in demos if isinstance(s, ast.Expr | ast.Assert)]
    for unwanted in ([*demos, *samples], demos, plain):
        rest = bench.module(without(module, unwanted)) if unwanted else module
        if rest is not None and name in rest.binds and not rest.needs - module.needs:
            return rest
    return module


def is_demo(statement: ast.stmt, name: str) -> bool:
    """Whether a top-level statement only shows how to use the program that defines `name`."""
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement, ast.Expr):
        return _calls(statement, {name, "print", "input"}) or _runs_tests(statement.value)
    if isinstance(statement, ast.If) and "__name__" in _loads(statement.test):
        return False
    if not isinstance(statement, ast.For | ast.While | ast.With | ast.Try | ast.If):
        return False
    inner = [s for part in _blocks(statement) for s in part]
    # A loop over examples. Anything else in it makes it part of the program.
    return any(is_demo(s, name) for s in inner) and all(
        is_demo(s, name)
        or _is_plain_assignment(s)
        or isinstance(s, ast.Pass | ast.Break | ast.Continue)
        for s in inner
    )


def _is_word(statement: ast.stmt, unknown: frozenset[str]) -> bool:
    """Whether prose happened to parse (`Explanation`, `Note: this`): it only names the unknown."""
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return bool(_loads(statement.annotation) & unknown)
    return (
        isinstance(statement, ast.Expr)
        and bool(_loads(statement) & unknown)
        and not any(isinstance(n, ast.Call | ast.Await | ast.Yield) for n in ast.walk(statement))
    )


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, [])
    for handler in getattr(statement, "handlers", []):
        yield handler.body


def _is_plain_assignment(statement: ast.stmt) -> bool:
    """Whether it binds names and nothing else: no items, no attributes."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return False
    return all(
        isinstance(inner, ast.Name | ast.Tuple | ast.List | ast.Starred | ast.expr_context)
        for target in targets
        for inner in ast.walk(target)
    )


def _calls(node: ast.AST, names: set[str]) -> bool:
    return any(
        isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in names
        for inner in ast.walk(node)
    )


def _runs_tests(value: ast.expr) -> bool:
    """`unittest.main()`, `doctest.testmod()`, `check(f)`, `test_f()`, `main()`."""
    if not isinstance(value, ast.Call):
        return False
    called = value.func
    if isinstance(called, ast.Name):
        return _RUNNERS.fullmatch(called.id) is not None
    while isinstance(called, ast.Attribute | ast.Call):
        called = called.value if isinstance(called, ast.Attribute) else called.func
    return isinstance(called, ast.Name) and called.id in _TEST_MODULES


def _loads(node: ast.AST) -> set[str]:
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load | ast.Del)
    }


def without(module: Module, unwanted: list[ast.stmt]) -> str:
    """The source without these top-level statements, save those that share a line with others."""
    owners: dict[int, int] = {}
    for statement in module.tree.body:
        for row in _rows(statement):
            owners[row] = owners.get(row, 0) + 1
    gone: set[int] = set()
    for statement in unwanted:
        if all(owners[row] == 1 for row in _rows(statement)):
            gone.update(_rows(statement))
    lines = module.source.split("\n")
    return "\n".join(line for row, line in enumerate(lines, 1) if row not in gone).rstrip() + "\n"


def needed(module: Module, wanted: frozenset[str], name: str) -> str:
    """The statements of a module that bind wanted names, and what these need in turn.

    Args:
        module: a stub or program to borrow from.
        wanted: global names that another program lacks.
        name: the entry point, which is never borrowed.
    """
    body = [s for s in module.tree.body if getattr(s, "name", None) != name]
    missing = set(wanted)
    chosen: list[ast.stmt] = []
    grows = True
    while grows:
        grows = False
        for statement in body:
            bound = _binds(statement)
            if statement not in chosen and (bound & missing or ("*" in bound and missing)):
                chosen.append(statement)
                missing |= _loads(statement)
                grows = True
    rows = sorted({row for statement in chosen for row in _rows(statement)})
    lines = module.source.split("\n")
    return "\n".join(lines[row - 1] for row in rows)


def _binds(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    bound: set[str] = set()
    for inner in ast.walk(statement):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in inner.names}
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            bound.add(inner.id)
        elif isinstance(inner, ast.FunctionDef | ast.ClassDef):
            bound.add(inner.name)
    return bound


def _rows(statement: ast.stmt) -> range:
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return range(first, (statement.end_lineno or statement.lineno) + 1)
