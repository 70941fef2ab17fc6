"""`is` between objects that stay in the candidate's process: whether they are the same one there.

A handle is made anew each time that an object is told of, so Python's own `is` would say no of an
object and itself. In tests of classes, `a is b` is made a call, and so is `isinstance`, which asks
nobody where the type is the very class: that too is the candidate's word.
"""

from __future__ import annotations

import ast
import builtins
from typing import Any

from .handles import is_instance, same

_NAME = "__regreen_same__"
_INSTANCE = "__regreen_isinstance__"


def rewrite(tree: ast.Module) -> ast.Module:
    """The tests, with each `is` made a call; `is None` and the like stay."""
    _Rewriter().visit(tree)
    return ast.fix_missing_locations(tree)


def install() -> None:
    """Makes the call known in this process."""
    setattr(builtins, _NAME, same)
    setattr(builtins, _INSTANCE, is_instance)


def teach_runners() -> None:
    """Has unittest and pytest make the call."""
    install()
    import unittest

    from _pytest.assertion import rewrite as pytest_rewrite

    def is_same(self: Any, first: object, second: object, msg: Any = None) -> None:
        if not same(first, second):
            self.fail(self._formatMessage(msg, f"{first!r} is not {second!r}"))

    def is_other(self: Any, first: object, second: object, msg: Any = None) -> None:
        if same(first, second):
            self.fail(self._formatMessage(msg, f"unexpectedly identical: {first!r}"))

    case: Any = unittest.TestCase
    case.assertIs, case.assertIsNot = is_same, is_other
    plain = pytest_rewrite.rewrite_asserts
    if plain.__module__ == __name__:
        return

    def rewrite_asserts(mod: ast.Module, *arguments: Any, **named: Any) -> None:
        rewrite(mod)
        plain(mod, *arguments, **named)

    pytest_rewrite.rewrite_asserts = rewrite_asserts


class _Rewriter(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            node.func.id = _INSTANCE
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            return node
        sides = (node.left, node.comparators[0])
        if any(isinstance(side, ast.Constant) for side in sides):
            return node
        call = ast.Call(ast.Name(_NAME, ast.Load()), list(sides), [])
        made = call if isinstance(node.ops[0], ast.Is) else ast.UnaryOp(ast.Not(), call)
        return ast.copy_location(made, node)
