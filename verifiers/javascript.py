"""Parsing of JavaScript that nobody has vetted, and never by running it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from functools import cache

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

MAX_BYTES = 1 << 20
"""Longest source that is looked at, in bytes of UTF-8."""


_TEST_CALL = re.compile(r"(?:[\w$]+\??\.)*(?:test|it|describe|suite)(?:\.only)?")
_FUNCTIONS = ("arrow_function", "function_expression")


class _Tools(threading.local):
    """One parser for each thread: none may be shared while it works."""

    def __init__(self) -> None:
        self.parser = Parser(Language(tree_sitter_javascript.language()))


@cache
def _tools() -> _Tools:
    return _Tools()


def parse(text: str) -> Node | None:
    """The root of a source's syntax tree; `None` where it is too long to be looked at."""
    data = text.encode("utf-8", "replace")
    return None if len(data) > MAX_BYTES else _tools().parser.parse(data).root_node


def walk(node: Node) -> Iterator[Node]:
    """A node and all beneath it, in the order of the text; without recursion."""
    left = [node]
    while left:
        found = left.pop()
        yield found
        left.extend(reversed(found.children))


def first_error(text: str) -> str:
    """Where a source breaks the grammar first, in a line; empty if it doesn't, or is too long."""
    root = parse(text)
    if root is None or not root.has_error:
        return ""
    at = next((node for node in walk(root) if node.is_error or node.is_missing), root)
    return f"line {at.start_point.row + 1}: this is no JavaScript"


def is_module(text: str) -> bool:
    """Whether a source has statements that only an ECMAScript module may have."""
    root = parse(text)
    kinds = ("import_statement", "export_statement")
    return root is not None and any(node.type in kinds for node in root.children)


def text_of(node: Node | None) -> str:
    """The text of a node; empty for none."""
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def plain_string(node: Node | None) -> str | None:
    """The value of a string without escapes or substitutions; `None` for all else."""
    if node is None or node.type not in ("string", "template_string"):
        return None
    if any(child.type != "string_fragment" for child in node.named_children):
        return None
    return text_of(node)[1:-1]


def test_function(root: Node, names: Sequence[str]) -> Node | None:
    """The function of a test, as it is given to node:test and the like.

    Args:
        root: of the test's file.
        names: of the suites that the test is in, and its own.

    Returns:
        `None` if it isn't written plainly: a literal name, a function in its place, once.
    """
    found: Node | None = root
    for name in names:
        found = _given_function(found, name) if found is not None else None
    return found if found is not root else None


def _given_function(within: Node, name: str) -> Node | None:
    found: list[Node] = []
    for node in walk(within):
        if node.type != "call_expression":
            continue
        callee, given = (node.child_by_field_name(part) for part in ("function", "arguments"))
        values = given.named_children if given is not None else []
        if (
            values
            and plain_string(values[0]) == name
            and values[-1].type in _FUNCTIONS
            and _TEST_CALL.fullmatch(text_of(callee))
        ):
            found.append(values[-1])
    return found[0] if len(found) == 1 else None
