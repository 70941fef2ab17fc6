"""Tells whether a task's visible side already shows every hidden test.

A suite such as MBPP prints each official test in the docstring. A score on "hidden" tests would
then be a score on visible ones, so the protocol `hidden` is refused for such a task.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence

from tasks.literals import call_places, parse_expression
from tasks.model import AssertTests, PublicTask, PytestTests, StdioTests, TaskError, Tests
from tasks.source import FunctionNode, parse, test_functions

REFUSED = (
    "the visible examples repeat every one of its tests, so no test is left to score with; "
    "use protocol given"
)


def hidden_refused(public: PublicTask, hidden: Sequence[Tests]) -> str:
    """Why the hidden tests can't score the task fairly, or empty.

    Calls are compared by their arguments' syntax trees, and so without regard to spaces, quotes
    or expected values: who has seen an input with its result has seen the test.
    """
    try:
        repeated = all(_is_repeated(public, tests) for tests in hidden)
    except RecursionError:
        # Tests with an expression nested a thousand deep are not copies of an example.
        repeated = False
    return REFUSED if hidden and repeated else ""


def _is_repeated(public: PublicTask, tests: Tests) -> bool:
    if isinstance(tests, StdioTests):
        seen = {
            (case.stdin.strip(), case.args)
            for visible in public.visible
            if isinstance(visible, StdioTests)
            for case in visible.cases
        }
        return all((case.stdin.strip(), case.args) in seen for case in tests.cases)
    tree = _tree(tests)
    sources = [visible for visible in public.visible if not isinstance(visible, StdioTests)]
    units = set(_units(tree))
    if units and units <= {unit for visible in sources for unit in _units(_tree(visible))}:
        return True
    if public.entry_kind == "class":
        # A class is tested by what its methods do one after another; calls alone say nothing.
        return False
    calls = _calls(tree, public.entry_point)
    if not calls:
        return False
    seen_calls = set(_calls_in_text(public.prompt, public.entry_point))
    for visible in sources:
        seen_calls |= _calls(_tree(visible), public.entry_point) or set()
    return calls <= seen_calls


def _tree(tests: AssertTests | PytestTests) -> ast.Module:
    return parse(tests.source, tests.filename)


def _units(tree: ast.Module) -> Iterator[str]:
    """The pieces that test: test functions, `check`, and what runs at top level."""
    functions = test_functions(tree)
    for node in functions:
        yield _dump([*node.decorator_list, *node.body])
    for statement in tree.body:
        if isinstance(statement, FunctionNode):
            if statement.name == "check" and not functions:
                yield _dump(statement.body)
        elif not isinstance(statement, ast.ClassDef) and _asserts(statement):
            yield _dump([statement])


def _asserts(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(statement))


def _dump(nodes: Sequence[ast.AST]) -> str:
    return "\n".join(ast.dump(node) for node in nodes)


def _calls(tree: ast.Module, entry_point: str) -> set[str] | None:
    """The calls of the candidate in a test, or `None` where one depends on a variable of it."""
    names = {entry_point}
    for statement in tree.body:
        if isinstance(statement, FunctionNode) and statement.name == "check":
            names = {argument.arg for argument in statement.args.args[:1]} | (names - {"check"})
    variables = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    } | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    variables -= names
    calls: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in names:
                used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
                if used & variables:
                    return None
                calls.add(_arguments(node))
    return calls


def _calls_in_text(text: str, entry_point: str) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for reading in {text, _unescaped(text)}:
            for start, end in call_places(reading, [entry_point]):
                node = parse_expression(reading[start:end])
                if isinstance(node, ast.Call):
                    yield _arguments(node)


def _unescaped(text: str) -> str:
    r"""The text with the docstrings in it read as Python reads them (`\n` is a newline)."""
    try:
        tree = parse(text, "prompt")
    except TaskError:
        return text
    return "\n".join(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _arguments(call: ast.Call) -> str:
    return _dump([*call.args, *call.keywords])
