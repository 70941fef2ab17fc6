"""What a program's text tells without running it: how much code there is."""

from __future__ import annotations

import ast
import warnings

_LONGEST = 50_000
"""Characters beyond which no program is looked into."""


def code_size(program: str) -> int:
    """Nodes of a Python program's syntax tree, without docstrings and annotations.

    It is parsed and never executed. 0 for what is no Python, or too long.
    """
    if len(program) > _LONGEST:
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    waiting: list[ast.AST] = [tree]
    count = 0
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring, or a statement that does nothing
        count += not isinstance(node, ast.expr_context)
        for name, field in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                parts = field if isinstance(field, list) else [field]
                waiting.extend(part for part in parts if isinstance(part, ast.AST))
    return count
