"""What a test has to be called and marked so that `-k` and `-m` select it, too.

The canary is one more test among those that a run selects, and is to look like them.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

_MOST_NAMES = 10


class Selection(BaseModel):
    """How one more test has to look to be selected.

    Attributes:
        words: to be part of its name.
        marks: that it has to bear.
        others: words that its name must not have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def selection(arguments: Sequence[str]) -> Selection:
    """What `-k` and `-m` among some arguments select, with the fewest words and marks.

    Nothing is asked of a test where an expression can't be told; see `unclear`.
    """
    keyword, marks = _expressions(arguments)
    words, others = _chosen(keyword, parts=True) or ((), ())
    chosen, _ = _chosen(marks, parts=False) or ((), ())
    return Selection(words=words, marks=chosen, others=others)


def unclear(arguments: Sequence[str]) -> str:
    """The option of which it can't be told what it selects, with its expression; empty if none."""
    keyword, marks = _expressions(arguments)
    if _chosen(keyword, parts=True) is None:
        return f"-k {keyword!r}"
    return f"-m {marks!r}" if _chosen(marks, parts=False) is None else ""


def _expressions(arguments: Sequence[str]) -> tuple[str, str]:
    keyword, marks = "", ""
    for option, value in _valued(arguments):
        keyword, marks = (value, marks) if option == "-k" else (keyword, value)
    return keyword, marks


def _valued(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(arguments)
    for word in rest:
        if word in ("-k", "-m"):
            yield word, next(rest, "")
        elif word[:2] in ("-k", "-m"):
            yield word[:2], word[2:].removeprefix("=")


def _chosen(expression: str, *, parts: bool) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The fewest names whose presence makes an expression true, and the other ones in it."""
    if not expression.strip():
        return (), ()
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return None
    if not all(isinstance(node, _KINDS) for node in ast.walk(tree)):
        return None
    names = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})
    for count in range(min(len(names), _MOST_NAMES) + 1):
        for some in itertools.combinations(names, count):
            if _holds(tree.body, some, parts=parts):
                return some, tuple(name for name in names if name not in some)
    return None


_KINDS = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Name, ast.Load,
)  # fmt: skip


def _holds(node: ast.expr, names: Sequence[str], *, parts: bool) -> bool:
    """Whether an expression holds for a test with these words, as pytest takes it.

    Args:
        node: the expression, or a part of it.
        names: that are there.
        parts: whether a part of a word is enough, whatever its case.
    """
    if isinstance(node, ast.BoolOp):
        quantifier = all if isinstance(node.op, ast.And) else any
        return quantifier(_holds(one, names, parts=parts) for one in node.values)
    if isinstance(node, ast.UnaryOp):
        return not _holds(node.operand, names, parts=parts)
    assert isinstance(node, ast.Name)
    if not parts:
        return node.id in names
    return any(node.id.lower() in name.lower() for name in names)
