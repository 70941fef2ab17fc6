"""What the prompt gives to the tests: names that it defines, and names that it leaves open."""

from __future__ import annotations

import ast
import re
import types
from typing import Any, TypeGuard

_WORDS = re.compile(r"\w+")
# What binds names on other lines than its first, or names that no line has.
_OBSCURE = re.compile(r"(?:if|try|for|while|with|match|async)\b|.*[*\\(\[{]$|from\b.*\*")
_DYNAMIC = frozenset(
    {"exec", "eval", "compile", "globals", "locals", "vars", "getattr", "__import__", "__dict__",
     "__builtins__", "importlib", "import_module", "sys", "modules", "inspect", "__main__"}
)  # fmt: skip


class Prompt:
    """The prompt's source, executed if anything is wanted of it.

    Args:
        source: of the prompt.
        classes: whether classes can be left open, too.
    """

    def __init__(self, source: str, *, classes: bool) -> None:
        self._source = source
        self._classes = classes
        self._names: dict[str, Any] | None = None
        self._open: list[str] = []

    @property
    def names(self) -> dict[str, Any]:
        """Imports, helpers and constants that it defines."""
        return self._look()

    @property
    def open(self) -> list[str]:
        """Names of what it leaves without a body, so that the program has to define it."""
        self._look()
        return self._open

    def matters(self, used: set[str], entry_point: str) -> bool:
        """Whether tests that use these names can tell if it has been executed.

        Most tests speak of the entry point and nothing else of the prompt, and to execute it would
        be a tenth of their cost. In doubt it matters.
        """
        if self._names is not None or used & _DYNAMIC:
            return True
        words: set[str] = set()
        for line in self._source.splitlines():
            if line[:1].strip():
                if _OBSCURE.match(line.rstrip()):
                    return True
                words.update(_WORDS.findall(line))
        words.discard(entry_point)
        return bool(words & used)

    def _look(self) -> dict[str, Any]:
        if self._names is None:
            self._names = {}
            try:
                tree = ast.parse(self._source, "<prompt>")
            except (SyntaxError, ValueError):
                return self._names
            self._open = [
                node.name
                for node in tree.body
                if _is_stub(node)
                or (
                    self._classes
                    and isinstance(node, ast.ClassDef)
                    and any(map(_is_stub, node.body))
                )
            ]
            found: dict[str, Any] = {"__name__": "prompt"}
            try:
                exec(compile(tree, "<prompt>", "exec", dont_inherit=True), found)
            except Exception:
                return self._names
            self._names = {
                name: value for name, value in found.items() if not name.startswith("__")
            }
        return self._names


def used_names(code: types.CodeType) -> set[str]:
    """All names of globals, attributes and imports in a piece of code and in what it contains."""
    found = {*code.co_names}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= used_names(constant)
    return found


def _is_stub(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and all(
        _says_nothing(statement) for statement in node.body
    )


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.dump(statement)
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )
