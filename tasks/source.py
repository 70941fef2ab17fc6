"""Looks into Python source without running it: what it defines, imports, and tests.

The controller never executes task code, so everything here works on the syntax tree.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tasks.model import AssertTests, PytestTests, TaskError

_TEST_LIBRARIES = frozenset({"hypothesis", "pytest", "unittest"})

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """A function or class at the top level of a source, and whether it is yet to be written."""

    name: str
    kind: Literal["function", "class"]
    unwritten: bool


def parse(source: str, name: str) -> ast.Module:
    """The syntax tree of `source`.

    Args:
        source: Python source.
        name: the file's name, for the message.

    Raises:
        TaskError: not valid Python; names the line.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        raise TaskError(f"{name}:{error.lineno or 1}: not valid Python: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError) as error:
        reason = str(error) or "nested too deeply"
        raise TaskError(f"{name}:1: not valid Python: {reason}") from None


def definitions(tree: ast.Module) -> list[Definition]:
    """The functions and classes at the top level, the last definition of a name only."""
    found: dict[str, Definition] = {}
    for node in tree.body:
        if isinstance(node, FunctionNode):
            found.pop(node.name, None)
            found[node.name] = Definition(node.name, "function", is_unwritten(node))
        elif isinstance(node, ast.ClassDef):
            found.pop(node.name, None)
            methods = [inner for inner in node.body if isinstance(inner, FunctionNode)]
            # A class is yet to be written as long as one of its methods is.
            blank = any(map(is_unwritten, methods)) if methods else _is_blank(node.body)
            found[node.name] = Definition(node.name, "class", blank)
    return list(found.values())


def is_unwritten(function: FunctionNode) -> bool:
    """Whether a body is only a docstring, `pass`, `...` or `raise NotImplementedError`."""
    return _is_blank(function.body)


def _is_blank(body: list[ast.stmt]) -> bool:
    for statement in body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Raise(exc=ast.Name(id="NotImplementedError")):
                continue
            case ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError"))):
                continue
        return False
    return True


def kind_of_entry(prompt: str, entry_point: str) -> Literal["function", "class"]:
    """Whether a stub defines its entry point as a class; works on unfinished source as well."""
    name = re.escape(entry_point)
    is_class = re.search(rf"^[ \t]*class[ \t]+{name}\b", prompt, re.MULTILINE)
    is_function = re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{name}\b", prompt, re.MULTILINE)
    return "class" if is_class and not is_function else "function"


def last_definition(prompt: str) -> str:
    """The name of the last top-level function or class in a stub, finished or not, or empty."""
    found = re.findall(r"^(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)", prompt, re.MULTILINE)
    return found[-1] if found else ""


def names_used_from(tree: ast.Module, module: str) -> list[str]:
    """The names that a test takes from `module`: `from m import f`, or `m.f` after `import m`."""
    names: dict[str, None] = {}
    aliases: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == module:
            names |= dict.fromkeys(alias.name for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Import):
            aliases |= {item.asname or item.name for item in node.names if item.name == module}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in aliases:
                names[name] = None
    return list(names)


def imports_module(tree: ast.Module, module: str) -> bool:
    """Whether a source imports `module` in any way."""
    return module in _imported(tree)


def names_in(tree: ast.AST) -> set[str]:
    """Every plain name that a tree reads."""
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def is_check(tree: ast.Module) -> bool:
    """Whether a source tests by `def check(candidate)`, as HumanEval's do."""
    for node in tree.body:
        if isinstance(node, FunctionNode) and node.name == "check":
            arguments = node.args
            positional = [*arguments.posonlyargs, *arguments.args]
            return len(positional) - len(arguments.defaults) == 1
    return False


def test_functions(tree: ast.Module) -> list[FunctionNode]:
    """The test functions that pytest would collect: `test*`, and methods of test classes."""
    found: list[FunctionNode] = []
    for node in tree.body:
        if isinstance(node, FunctionNode) and node.name.startswith("test"):
            found.append(node)
        elif isinstance(node, ast.ClassDef) and _is_test_class(node):
            found += [
                inner
                for inner in node.body
                if isinstance(inner, FunctionNode) and inner.name.startswith("test")
            ]
    return found


def _is_test_class(node: ast.ClassDef) -> bool:
    bases = [base.attr if isinstance(base, ast.Attribute) else base for base in node.bases]
    named = [base.id if isinstance(base, ast.Name) else base for base in bases]
    # State machines of Hypothesis reach pytest as an attribute `TestX = Machine.TestCase`.
    return node.name.startswith("Test") or any(str(base).endswith("TestCase") for base in named)


def classify_tests(
    source: str,
    *,
    name: str,
    filename: str = "",
    weights: dict[str, float] | None = None,
) -> AssertTests | PytestTests:
    """Finds out how a test file tests: pytest or unittest, `check(candidate)`, bare asserts.

    Args:
        source: the file's text.
        name: how messages call the file.
        filename: how the judge calls it; by default the last part of `name`.
        weights: weights by test name.

    Raises:
        TaskError: not valid Python, or no test in it.
    """
    tree = parse(source, name)
    filename = filename or name.rsplit("/", 1)[-1]
    weights = weights or {}
    libraries = {module.split(".")[0] for module in _imported(tree)} & _TEST_LIBRARIES
    if test_functions(tree) or _assigns_test_case(tree):
        return PytestTests(source=source, filename=filename, weights=weights)
    asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    if is_check(tree):
        return AssertTests(source=source, function="check", filename=filename, weights=weights)
    if libraries & {"pytest", "hypothesis", "unittest"} and not _outside_functions(tree):
        raise TaskError(
            f"{name}: imports {', '.join(sorted(libraries))} but has no test in it; "
            "name the test functions test_..."
        )
    if not asserts or not _outside_functions(tree):
        raise TaskError(
            f"{name}: no test in it; expected functions test_..., a function "
            "check(candidate), or assert statements at top level"
        )
    return AssertTests(source=source, filename=filename, weights=weights)


def _assigns_test_case(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "TestCase"
        for node in tree.body
    )


def _outside_functions(tree: ast.Module) -> bool:
    """Whether running the top level runs an assert (or calls something that may hold one)."""
    stack: list[ast.AST] = list(tree.body)
    defined = {node.name for node in tree.body if isinstance(node, FunctionNode)}
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Assert):
            return True
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in defined:
                return True
        if not isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))
    return False
