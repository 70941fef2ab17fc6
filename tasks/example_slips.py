"""Examples with a slip of the pen, read only where a docstring has no others.

Two are common: the function was renamed and its examples were not, and the quotes round strings
were left out (`is_happy(abcd) => True`).
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterable, Sequence

from tasks.example_styles import Example, doctests, inline
from tasks.literals import BUILDERS

_HEADING = re.compile(r"\bexamples?\b", re.IGNORECASE)
_CALLED = re.compile(r"(?<![\w.])([A-Za-z_]\w*)[ \t]?\(")
_FEWEST_RESULTS = 2
_LONG_WORD = 2
"""Letters of a word that is no variable's name."""
_MOST_NAMES = 20


def renamed(
    text: str, entry_point: str, parameters: Sequence[str], known: Iterable[str]
) -> list[Example]:
    """Examples under a heading that call another function, which nobody has defined.

    Kept where all of them name the same one, and give it as many arguments as there are parameters.

    Args:
        text: of the docstring.
        entry_point: what they are taken to call.
        parameters: its own.
        known: what the prompt defines or imports.
    """
    heading = _HEADING.search(text)
    if heading is None or not parameters:
        return []
    taken = {entry_point, *known, *BUILDERS, *dir(builtins), *keyword.kwlist}
    called = dict.fromkeys(_CALLED.findall(text, heading.end()))
    names = [name for name in called if name not in taken][:_MOST_NAMES]
    by_name = {name: _calling(text, name, heading.end(), len(parameters)) for name in names}
    found = [(name, examples) for name, examples in by_name.items() if examples]
    if len(found) != 1:
        return []
    ((name, examples),) = found
    for example in examples:
        for node in ast.walk(example.call):
            if isinstance(node, ast.Name) and node.id == name:
                node.id = entry_point
    return examples


def _calling(text: str, name: str, start: int, arity: int) -> list[Example]:
    sessions, rest = doctests(text, name)
    examples = [*sessions, *inline(rest, name)]
    if any(example.position < start for example in examples):
        return []
    return [] if any(_arity(example.call, name) != arity for example in examples) else examples


def _arity(call: ast.expr, name: str) -> int:
    """How many arguments the call of this function has, inside `round(..., 2)` or not."""
    for node in ast.walk(call):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            return len(node.args) if not node.keywords else -1
    return -1


def unquoted(text: str, entry_point: str, parameters: Sequence[str]) -> list[Example]:
    """Examples whose arguments are words that were meant as strings.

    Kept where there are at least two with different results, all written so, and some word is
    longer than a variable's name would be.

    Args:
        text: of the docstring.
        entry_point: what they call.
        parameters: its own; none of them is such a word.
    """

    def is_unquoted(node: ast.expr, name: str) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == name
            and len(node.args) == len(parameters)
            and not node.keywords
            and all(isinstance(word, ast.Name) for word in node.args)
        )

    examples = list(inline(text, entry_point, is_unquoted))
    calls = [example.call for example in examples if isinstance(example.call, ast.Call)]
    words = [word.id for call in calls for word in call.args if isinstance(word, ast.Name)]
    results = {ast.unparse(example.expected) for example in examples}
    doubtful = not {*parameters, *dir(builtins)}.isdisjoint(words)
    longest = max(map(len, words), default=0)
    if doubtful or len(results) < _FEWEST_RESULTS or longest < _LONG_WORD:
        return []
    for call in calls:
        call.args = [ast.Constant(word.id) for word in call.args if isinstance(word, ast.Name)]
    return examples
