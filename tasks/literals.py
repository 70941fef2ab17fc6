"""Finds Python literals and calls inside prose, so that examples can be told from remarks.

Docstrings are text, not code: `f(1) returns [1, 2], because ...` holds a call and a value with
words around them. A small scanner finds where each ends; `ast` decides whether it is one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

# A bracket that is still open after this many characters is prose, not an example.
_LONGEST_BRACKET = 8_000
# More places than this that look like calls are no docstring; keeps hostile text from costing time.
_MOST_CALLS = 500
_LARGEST_EXPONENT = 64
_DEEPEST = 100

_STRING = re.compile(
    r"[rbuRBU]{0,2}(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\""
    r"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")",
    re.DOTALL,
)
_NUMBER = re.compile(
    r"(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+"
    r"|(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?[jJ]?)(?![\w])"
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_OPERATOR = re.compile(r"[ \t]*(?:\*\*|//|[-+*/%])(?![->=])[ \t]*")
_SIGN = re.compile(r"[-+~][ \t]*")
_COMMENT = re.compile(r"#[^\n]*")

_OPENING = {"(": ")", "[": "]", "{": "}"}
_WORD_VALUES = {"true": "True", "false": "False", "null": "None", "none": "None"}

# Builtins that may be called in an example: they only build a value from other values.
BUILDERS = frozenset(
    {"abs", "bool", "bytearray", "bytes", "chr", "complex", "dict", "float", "frozenset", "int"}
    | {"len", "list", "max", "min", "ord", "range", "reversed", "round", "set", "sorted", "str"}
    | {"sum", "tuple"}
)


class Found(NamedTuple):
    """A piece of text that parsed: the expression and where it ends."""

    node: ast.expr
    end: int


def parse_expression(text: str) -> ast.expr | None:
    """The expression that `text` is, or `None`. Never raises, whatever the text."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return None if _is_deep(node) else node


def _is_deep(node: ast.AST) -> bool:
    """Whether a tree is nested so deeply that walking it by recursion would fail."""
    level: list[ast.AST] = [node]
    for _ in range(_DEEPEST):
        level = [child for parent in level for child in ast.iter_child_nodes(parent)]
        if not level:
            return False
    return True


def call_places(text: str, names: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where calls of functions of these names begin and end in a text, as far as it is code."""
    alternatives = "|".join(map(re.escape, names))
    matches = re.finditer(rf"(?<![\w.])(?:{alternatives})\s?\(", text)
    for match in islice(matches, _MOST_CALLS):
        end = skip_brackets(text, match.end() - 1)
        if end is not None:
            yield match.start(), end


def skip_brackets(text: str, start: int) -> int | None:
    """The position after the bracket that closes the one at `start`, or `None`."""
    open_brackets: list[str] = []
    position = start
    last = min(len(text), start + _LONGEST_BRACKET)
    while position < last:
        character = text[position]
        if character in _OPENING:
            open_brackets.append(_OPENING[character])
        elif character in ")]}":
            if open_brackets.pop() != character:
                return None
            if not open_brackets:
                return position + 1
        elif character in "'\"":
            string = _STRING.match(text, position)
            if string is None:
                return None
            position = string.end()
            continue
        elif character == "#":
            comment = _COMMENT.match(text, position)
            position = comment.end() if comment else position + 1
            continue
        position += 1
    return None


def take_value(text: str, start: int) -> Found | None:
    """The longest constant expression that begins at `start`, e.g. `-1`, `[1, 2]`, `2**3`.

    `true`, `false` and `null`, as other languages write them, are taken for Python's.
    """
    end = _skip_operand(text, start)
    if end is None:
        return None
    while operator := _OPERATOR.match(text, end):
        following = _skip_operand(text, operator.end())
        if following is None:
            break
        end = following
    source = text[start:end]
    node = parse_expression(_WORD_VALUES.get(source, source))
    if node is None or not is_constant(node):
        return None
    return Found(node, end)


def whole_value(text: str) -> ast.expr | None:
    """The constant that all of `text` is, or `None`.

    `1, 2` without parentheses is refused: Python never prints a tuple so.
    """
    stripped = text.strip()
    node = parse_expression(_WORD_VALUES.get(stripped, stripped)) if stripped else None
    if node is None or not is_constant(node):
        return None
    return None if isinstance(node, ast.Tuple) and not stripped.startswith("(") else node


def _skip_operand(text: str, start: int) -> int | None:
    position = start
    while sign := _SIGN.match(text, position):
        position = sign.end()
    if position >= len(text):
        return None
    if text[position] in _OPENING:
        return skip_brackets(text, position)
    if string := _STRING.match(text, position):
        return string.end()
    if number := _NUMBER.match(text, position):
        return number.end()
    word = _WORD.match(text, position)
    if word is None:
        return None
    if word.group() in BUILDERS and text[word.end() : word.end() + 1] == "(":
        return skip_brackets(text, word.end())
    known = word.group() in {"True", "False", "None", *_WORD_VALUES}
    return word.end() if known else None


def is_constant(node: ast.expr) -> bool:
    """Whether an expression has one fixed value: literals, arithmetic on them, `set([1, 2])`."""
    match node:
        case ast.Constant(value=value):
            return value is not Ellipsis
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return all(is_constant(item) for item in items)
        case ast.Dict(keys=keys, values=values):
            return all(key is not None and is_constant(key) for key in keys) and all(
                is_constant(value) for value in values
            )
        case ast.UnaryOp(op=ast.Not()):
            return False
        case ast.UnaryOp(operand=operand):
            return is_constant(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return is_constant(left) and _is_small(right)
        case ast.BinOp(left=left, op=operator, right=right):
            plain = isinstance(operator, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.FloorDiv)
            fits = plain or isinstance(operator, ast.Mod)
            return fits and is_constant(left) and is_constant(right)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return name in BUILDERS and all(is_constant(argument) for argument in arguments)
    return False


def _is_small(exponent: ast.expr) -> bool:
    """Whether a power of it stays cheap; `9**9**9` in a docstring must not hang anybody."""
    if isinstance(exponent, ast.UnaryOp):
        exponent = exponent.operand
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    return isinstance(value, int | float) and abs(value) <= _LARGEST_EXPONENT


def is_closed(node: ast.expr) -> bool:
    """Whether an expression needs no name but its own variables and value-building builtins.

    `f([i * 2 for i in range(3)])` and `f(lambda x: -x)` have closed arguments; `f(a)`, where the
    quotes around a string were left out, has not.
    """
    called = {
        id(inner.func)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
    }
    bound = {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.arg)}
    names = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]
    bound |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    if any(isinstance(inner, ast.Await | ast.Yield | ast.YieldFrom) for inner in ast.walk(node)):
        return False
    if any(isinstance(inner, ast.Constant) and inner.value is Ellipsis for inner in ast.walk(node)):
        return False
    return all(name.id in bound or (id(name) in called and name.id in BUILDERS) for name in names)


def kind_of(node: ast.expr) -> str:
    """A rough type of a constant: `number`, `str`, `list`, ... or `none`."""
    match node:
        case ast.Constant(value=None):
            return "none"
        case ast.Constant(value=bool()):
            return "bool"
        case ast.Constant(value=str()):
            return "str"
        case ast.List():
            return "list"
        case ast.Tuple():
            return "tuple"
        case ast.Dict():
            return "dict"
        case ast.Set():
            return "set"
        case ast.Call(func=ast.Name(id=name)):
            return name
    return "number"


def number_of(node: ast.expr) -> float | complex | None:
    """The number that arithmetic on number literals makes, or `None` for anything else."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() | complex() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = number_of(operand)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=operator, right=right):
            first, second = number_of(left), number_of(right)
            if first is None or second is None:
                return None
            return _arithmetic(operator, first, second)
    return None


def _arithmetic(
    operator: ast.operator, first: float | complex, second: float | complex
) -> float | complex | None:
    try:
        match operator:
            case ast.Add():
                return first + second
            case ast.Sub():
                return first - second
            case ast.Mult():
                return first * second
            case ast.Div():
                return first / second
    except (ArithmeticError, ValueError):
        return None
    return None
