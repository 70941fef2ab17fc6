"""The ways in which people write examples as calls: doctest sessions and one-liners.

Each function finds the examples of one style in a text and says where they stand. What each
accepts is decided by `literals`: a closed call and a constant result.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.literals import (
    BUILDERS,
    Found,
    call_places,
    is_closed,
    is_constant,
    number_of,
    parse_expression,
    take_value,
    whole_value,
)

# A call or a result spread over more lines than this is no example any more.
_MOST_LINES = 20

_SEPARATOR = re.compile(
    r"`*\s*(?:"
    r"={1,3}>|={1,3}|-+>|[➞→⇒⟶➜➡➔⟹↦]|:(?=\s)"
    r"|\#\s*(?:={0,2}>|-+>|={1,2}|returns?\b|[➞→⇒])?"
    r"|,?\s*(?:should|must|will|would|shall)\s+(?:return|be|equal|give|output|yield|result\s+in)\b"
    r"|(?:returns?|gives?|equals?|yields?|outputs?|produces?|evaluates\s+to|is\s+equal\s+to|is)\b"
    r")(?:\s*:)?[ \t]*(?:\n[ \t]*)?`*"
)
_AGAIN = re.compile(r"[ \t]*={1,2}>?[ \t]*(?=[^=\s])")
_PROMPT = re.compile(r"^[ \t]*>>>[ \t]?(.*)$")
_DOTS = re.compile(r"^[ \t]*\.\.\.(?:[ \t](.*))?$")

# What may follow a result on its line without changing it.
_WORDS_AFTER = frozenset(
    {"and", "as", "because", "but", "for", "if", "note", "since", "when", "where", "whereas"}
    | {"which", "while", "with"}
)


@dataclass(frozen=True)
class Example:
    """A call of the entry point, its result, and where in the text they were found."""

    call: ast.expr
    expected: ast.expr
    position: int


def is_call(node: ast.expr, entry_point: str) -> bool:
    """Whether it is a call of the entry point, perhaps inside `round(..., 2)` or `sorted(...)`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        return False
    if node.func.id == entry_point:
        return all(is_closed(argument) for argument in arguments)
    if node.func.id not in BUILDERS or not node.args:
        return False
    return is_call(node.args[0], entry_point) and all(map(is_constant, arguments[1:]))


def doctests(text: str, entry_point: str) -> tuple[list[Example], str]:
    """The examples of `>>>` sessions, and the text with these blanked out, positions kept."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    found: list[Example] = []
    silent: list[Example] = []
    prints = False
    index = 0
    while index < len(lines):
        opened = _PROMPT.match(lines[index])
        if opened is None:
            index += 1
            continue
        node, after = _session_source(lines, index, opened.group(1))
        want, end = _session_result(lines, after)
        prints = prints or bool(want)
        example = _session_example(node, want, starts[index], entry_point)
        if example is not None:
            found.append(example)
        elif node is not None and not want and is_call(node, entry_point):
            silent.append(Example(node, ast.Constant(None), starts[index]))
        if node is None:
            # Not Python, e.g. `>>> f(1) => 2`: leave the call to the other styles.
            lines[index] = lines[index].replace(">>>", "   ", 1)
            index += 1
            continue
        for blanked in range(index, end):
            lines[blanked] = " " * len(lines[blanked])
        index = end
    # Doctest prints nothing for None; that is meant only where other calls do print something.
    return found + (silent if prints else []), "\n".join(lines)


def _session_source(lines: list[str], index: int, first: str) -> tuple[ast.expr | None, int]:
    """The expression typed at `>>>` and the line after it; `...` may be missing."""
    source = first
    following = index + 1
    while following < len(lines) and (dots := _DOTS.match(lines[following])):
        source += "\n" + (dots.group(1) or "")
        following += 1
    node = parse_expression(source)
    if node is None and following == index + 1:
        for end in range(following, min(len(lines), following + _MOST_LINES)):
            if _PROMPT.match(lines[end]) or source.count("(") == source.count(")"):
                break
            source += "\n" + lines[end]
            node = parse_expression(source)
            if node is not None:
                return node, end + 1
    return node, following


def _session_result(lines: list[str], start: int) -> tuple[list[str], int]:
    """The lines printed after a doctest's source, and the line after them."""
    end = start
    while end < len(lines) and lines[end].strip() and not _PROMPT.match(lines[end]):
        end += 1
    if end == start:
        # A blank line may stand between the call and its result.
        after = start
        while after < len(lines) and not lines[after].strip():
            after += 1
        if after < len(lines) and whole_value(lines[after]) is not None:
            return [lines[after]], after + 1
    return lines[start:end], end


def _session_example(
    node: ast.expr | None, want: list[str], position: int, entry_point: str
) -> Example | None:
    if node is None:
        return None
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            said = whole_value(want[0]) if want else ast.Constant(True)
            holds = isinstance(said, ast.Constant) and said.value is True
            if holds and is_call(left, entry_point) and is_constant(right):
                return Example(left, right, position)
            return None
    if not is_call(node, entry_point):
        return None
    # Prose may follow without a blank line, so the longest run of lines that is a value counts.
    for count in range(min(len(want), _MOST_LINES), 0, -1):
        expected = whole_value("\n".join(want[:count]))
        if expected is not None:
            return Example(node, expected, position)
    return None


def inline(
    text: str, entry_point: str, is_example: Callable[[ast.expr, str], bool] = is_call
) -> Iterator[Example]:
    """Examples within a line: `f(1) == 2`, `f(1) -> 2`, `f(1) should return 2`, `f(1) # 2`.

    Args:
        text: to look in.
        entry_point: what is called.
        is_example: whether an expression is such a call.
    """
    for start, end in call_places(text, [entry_point, *sorted(BUILDERS)]):
        call_source = text[start:end]
        if entry_point not in call_source or not _stands_alone(text, start):
            continue
        if call_source.count("\n") > _MOST_LINES:
            continue
        separator = _SEPARATOR.match(text, end)
        if separator is None:
            continue
        call = parse_expression(call_source)
        if call is None or not is_example(call, entry_point):
            continue
        expected = take_result(text, separator.end())
        if expected is not None:
            yield Example(call, expected, start)


def _stands_alone(text: str, start: int) -> bool:
    """Whether a call is not part of a larger expression such as `1 + f(2)` or `not f(2)`."""
    before = text[text.rfind("\n", 0, start) + 1 : start].rstrip()
    if not before.strip(" \t>*-+$•"):
        return True
    last_word = re.search(r"(\w+)$", before)
    if last_word is not None:
        return last_word.group(1).lower() not in {"not", "unless", "never", "if", "in"}
    if before.endswith("("):
        return not re.search(r"\w\($", before)
    return before[-1] not in "+-*/%=<>[{&|^~@"


def take_result(text: str, start: int) -> ast.expr | None:
    """The value at `start`, if what stands after it leaves no doubt that it is all of it."""
    found = take_value(text, start)
    if found is None:
        return None
    # `19 - 5 - 6 = 8` gives the reckoning and then the value; both must say the same.
    while again := _AGAIN.match(text, found.end):
        following = take_value(text, again.end())
        if following is None:
            return None
        first, second = number_of(found.node), number_of(following.node)
        if first is None or first != second:
            return None
        found = following
    return found.node if _ends(text, found) else None


def _ends(text: str, found: Found) -> bool:
    line_end = text.find("\n", found.end)
    rest = text[found.end : line_end if line_end >= 0 else len(text)].lstrip("`")
    stripped = rest.strip()
    if not stripped or stripped[0] in "#(—–" or stripped.startswith("//"):
        return True
    if stripped[0] in ".,;:!)" and rest[0] == stripped[0]:
        after = stripped[1:]
        if after and after[0].isalnum():
            return False
        return not (stripped[0] == "," and take_value(after.lstrip(), 0))
    word = re.match(r"[A-Za-z]+\b", stripped)
    if word is None or rest == stripped or word.group().lower() not in _WORDS_AFTER:
        return False
    reason = word.group().lower() in {"because", "since"}
    return reason or take_value(stripped[word.end() :].lstrip(), 0) is None
