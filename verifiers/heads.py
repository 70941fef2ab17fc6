"""Tells whether the first lines of a program can still become one, to stop what writes the rest.

CPython's parser tells input that ends too early from input that is wrong: it says the former only
when it has read every token without getting stuck, and what it has read no later line can change.
"""

from __future__ import annotations

import ast
import re

from verifiers.syntax import TooDeepError, guard, has_suspects, parse_tree, quiet

_FLAGS = 0x4000 | 0x200 | ast.PyCF_ONLY_AST
"""Allow incomplete input, imply no dedent at its end (as `codeop` does for interactive sessions),
and make nothing but a tree."""

_NEWER = re.compile(
    r"\b[rR]?[fFtT][rR]?[\"']"  # 3.12 lets quotes and line ends into f-strings, 3.14 has t-strings
    r"|(?m:^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+\w+[ \t]*\[)"  # 3.12: type parameters
    r"|(?m:^[ \t]*(?:type[ \t]+\w|except\b))"  # 3.12: type aliases; 3.14: no parentheses
)
"""Where another Python may have another opinion."""
_LINES_BEFORE = 3
_LAX = re.compile("literal|argument|indent|tabs", re.IGNORECASE)
"""What CPython complains about and the grammar of tree-sitter lets pass."""


def breaks(head: str) -> SyntaxError | None:
    """What makes it certain that no program begins with these lines; `None` while one still may.

    The sandbox may run another Python than we do. So nothing is said where their grammars differ,
    and tree-sitter has to find something odd as well. Nothing is executed.

    Args:
        head: the first lines of a program, each with its line end.
    """
    if head.rstrip("\n").endswith("\\"):
        return None  # the line goes on, and perhaps a string in it
    try:
        guard(head, None)
        with quiet():
            compile(head.removeprefix("\ufeff"), "<candidate>", "exec", _FLAGS, True)
    except SyntaxError as error:
        return error if error.msg != "incomplete input" and _agreed(head, error) else None
    except (TooDeepError, MemoryError, RecursionError, ValueError, OverflowError):
        return None
    return None


def _agreed(head: str, error: SyntaxError) -> bool:
    """Whether the error is one in any Python, as far as can be told."""
    lines = head.splitlines(keepends=True)[: error.lineno or 1]
    if _NEWER.search("".join(lines[-_LINES_BEFORE:])):
        return False
    if _LAX.search(error.msg or ""):
        return True
    tree = parse_tree("".join(lines).encode("utf-8", "surrogatepass"))
    return tree is None or tree.root_node.has_error or has_suspects(tree)
