"""Python, as far as blocks of code in an answer have to be understood."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
import warnings
from collections.abc import Iterator, Sequence

from agent.fix.patches.base import PatchError
from agent.fix.patches.grammar import Code
from agent.fix.patches.outline import Spot, outline

_DEFINITION = re.compile(r"^\s*(?:async\s+def|def|class)\s+\w+\s*[(:\[]")
_IMPORTS = (ast.Import, ast.ImportFrom)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Body = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class PythonGrammar:
    """See `Grammar`."""

    endings: tuple[str, ...] = (".py",)
    gap = 2

    def outline(self, text: str) -> tuple[Spot, ...]:
        return outline(text)

    def bound(self, text: str) -> set[str]:
        return {one.name for one in outline(text)}

    def defines(self, lines: Sequence[str]) -> bool:
        return any(_DEFINITION.match(line) for line in lines)

    def read(self, path: str, lines: Sequence[str], *, inner: bool) -> Code:
        tree = _parsed(lines)
        rest = [
            one
            for one in tree.body[_docstring(tree) :]
            if not isinstance(one, (*_DEFINITIONS, *_IMPORTS))
        ]
        return Code(
            path=path,
            lines=tuple(lines),
            spots=outline("\n".join(lines)),
            parts=tuple(_parts(tree)),
            imports=tuple(ast.unparse(one) for one in tree.body if isinstance(one, _IMPORTS)),
            rest=rest[0].lineno if rest else 0,
            inner=inner,
        )

    def in_strings(self, lines: Sequence[str]) -> tuple[set[int], set[int]]:
        text = textwrap.dedent("\n".join(lines)) + "\n"
        found: set[int] = set()
        start = 0
        try:
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                kind = tokenize.tok_name[token.type]
                if kind == "FSTRING_START":
                    start = token.start[0]
                elif kind == "FSTRING_END":
                    found |= set(range(start, token.end[0]))
                elif kind == "STRING":
                    found |= set(range(token.start[0], token.end[0]))
        except (tokenize.TokenError, SyntaxError):
            return set(), set()
        docs: set[int] = set()
        for node in ast.walk(_parsed(text.split("\n"))):
            if isinstance(node, _DEFINITIONS) and _docstring(node):
                docs |= set(range(node.body[0].lineno, node.body[0].end_lineno or 0))
        return found, docs

    def instead(self, new: Sequence[str], old: Sequence[str]) -> list[str]:
        return list(new)

    def missing(self, code: Code, text: str) -> tuple[int, list[str]]:
        own = _parsed(text.split("\n"))
        there = {ast.unparse(one) for one in own.body if isinstance(one, _IMPORTS)}
        last = max(
            (one.end_lineno or 0 for one in own.body if isinstance(one, _IMPORTS)),
            default=(own.body[0].end_lineno or 0) if _docstring(own) else 0,
        )
        return last, [line for line in dict.fromkeys(code.imports) if line not in there]


PYTHON_GRAMMAR = PythonGrammar()


def _parsed(lines: Sequence[str]) -> ast.Module:
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse("\n".join(lines))
    except SyntaxError as error:
        raise PatchError(
            f"the code is no valid Python (line {error.lineno} of it: {error.msg})"
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise PatchError("the code can't be parsed") from None


def _parts(tree: ast.Module) -> Iterator[str]:
    """The names of what is to be replaced: a class that has only methods is its methods."""
    for one in tree.body:
        if isinstance(one, ast.ClassDef):
            methods = [m.name for m in one.body if isinstance(m, _DEFINITIONS)]
            rest = [m for m in one.body[_docstring(one) :] if not isinstance(m, _DEFINITIONS)]
            if methods and not any(not _is_dots(m) for m in rest):
                yield from (f"{one.name}.{name}" for name in methods)
            else:
                yield one.name
        elif isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield one.name


def _docstring(node: Body) -> int:
    """1 if the first statement is a docstring."""
    first = node.body[0] if node.body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return int(is_text and isinstance(first.value.value, str))  # type: ignore[union-attr]


def _is_dots(statement: ast.stmt) -> bool:
    """Whether a statement only says that something was left out."""
    if isinstance(statement, ast.Pass):
        return True
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is Ellipsis
    )
