"""Parsing of programs that nobody has vetted: bounded, quiet, and never by running them.

The gate and the extraction both ask "is this Python?". tree-sitter answers cheaply and is safe on
any bytes; CPython's own compiler is the authority, but its cost and its C stack depend on the
input, so it is only reached through the guards in this module.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import tree_sitter_python
from tree_sitter import Language, Parser, Query, QueryCursor, Tree

MAX_BYTES = 256 * 1024
"""Longest program that is looked at, in bytes of UTF-8; benchmark solutions stay below 10 KiB."""

MAX_DEPTH = 400
"""Deepest syntax tree that CPython is asked about. The deepest of 1640 sampled HumanEval programs
has 20 levels; CPython refuses brackets nested deeper than 200 by itself."""

_LONG_LINE = 1000
_MAX_CONTINUATIONS = 500

# Statements of Python 2 that the grammar accepts, blocks, whose emptiness it overlooks, and `try`,
# which it lets stand alone.
_SUSPECTS = (
    "(print_statement) @suspect (exec_statement) @suspect (block) @block (try_statement) @try"
)

# `warnings.catch_warnings` swaps the filters of the whole process, so one thread at a time.
_warnings_lock = threading.Lock()

_BUILTINS = frozenset(dir(builtins)) | {
    "__name__", "__file__", "__doc__", "__builtins__", "__spec__", "__loader__", "__package__",
}  # fmt: skip


class TooDeepError(Exception):
    """CPython can't be asked safely: the program is nested too deeply or is too long."""


@cache
def _language() -> Language:
    return Language(tree_sitter_python.language())


class _Tools(threading.local):
    """One parser and query cursor per thread: neither may be shared while it works."""

    def __init__(self) -> None:
        self.parser = Parser(_language())
        self.suspects = QueryCursor(Query(_language(), _SUSPECTS))


@cache
def _tools() -> _Tools:
    return _Tools()


def parse_tree(source: bytes) -> Tree | None:
    """The tree-sitter tree of Python source (UTF-8), or `None` where making one costs too much.

    Accepts any bytes. The time is quadratic in the lines joined by backslashes (measured: 2.4 s for
    16 000 of them, where CPython takes a millisecond); all else that was tried is linear.
    """
    if source.count(b"\\\n") + source.count(b"\\\r") > _MAX_CONTINUATIONS:
        return None
    return _tools().parser.parse(source)


def has_suspects(tree: Tree) -> bool:
    """Whether a tree without errors holds a form that the grammar takes and CPython may not."""
    captures = _tools().suspects.captures(tree.root_node)
    if captures.get("suspect"):
        return True
    if any(block.start_byte == block.end_byte for block in captures.get("block", ())):
        return True
    # "try", ":", its block, and then a clause, unless only comments follow.
    return any(
        not any(child.type in ("except_clause", "finally_clause") for child in node.children)
        for node in captures.get("try", ())
    )


def is_deeper_than(tree: Tree, limit: int) -> bool:
    """Whether a branch of the tree has more than `limit` levels. Walks without recursion."""
    cursor = tree.walk()
    depth = 0
    while True:
        if cursor.goto_first_child():
            depth += 1
            if depth > limit:
                return True
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return False
            depth -= 1


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the warnings that compiling a stranger's source gives (invalid escapes, `is 1`)."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def python_module(text: str) -> ast.Module | None:
    """The syntax tree of a source of any length, or `None` of what is no Python."""
    try:
        with quiet():
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def compile_error(source: str, tree: Tree | None = None) -> SyntaxError | None:
    """What CPython says against a program, which is compiled and never executed.

    Args:
        source: the program.
        tree: its tree-sitter tree, if there is one already.

    Returns:
        The error, or `None` where CPython accepts the program.

    Raises:
        TooDeepError: the program is too long or too deeply nested to ask.
    """
    guard(source, tree)
    try:
        with quiet():
            compile(source.removeprefix("\ufeff"), "<candidate>", "exec", 0, True)
    except SyntaxError as error:
        return error
    except (MemoryError, RecursionError, ValueError, OverflowError) as error:
        raise TooDeepError(f"the compiler gave up: {type(error).__name__}") from None
    return None


def guard(source: str, tree: Tree | None) -> None:
    """Refuses what CPython can't be asked about safely.

    Raises:
        TooDeepError: the program is too long or too deeply nested.
    """
    raw = source.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        raise TooDeepError(f"longer than {MAX_BYTES} bytes")
    # Without a tree at hand, one is only made where a long line can nest deeply: on broken text
    # tree-sitter may take longer than CPython, whose own limits hold too (200 brackets, 100
    # indents, 6000 parser frames: hostile input ended in MemoryError or RecursionError).
    if tree is None and max(map(len, source.split("\n"))) > _LONG_LINE:
        tree = parse_tree(raw)
    if tree is not None and is_deeper_than(tree, MAX_DEPTH):
        raise TooDeepError(f"nested deeper than {MAX_DEPTH} levels")


def binds_globally(source: str, name: str) -> bool:
    """Whether module code, or a function through `global`, binds `name`, by CPython's own scoping.

    Raises:
        SyntaxError: CPython rejects the program.
        TooDeepError: the program is too long or too deeply nested to ask.
    """
    guard(source, None)
    try:
        with quiet():
            top = symtable.symtable(source.removeprefix("\ufeff"), "<candidate>", "exec")
    except (MemoryError, RecursionError, ValueError, OverflowError) as error:
        raise TooDeepError(f"the compiler gave up: {type(error).__name__}") from None
    pending = [top]
    while pending:
        table = pending.pop()
        pending.extend(table.get_children())
        if name not in table.get_identifiers():
            continue
        symbol = table.lookup(name)
        if (symbol.is_assigned() or symbol.is_imported()) and (
            table is top or symbol.is_declared_global()
        ):
            return True
    return False


def canonical(source: str) -> str | None:
    """The program's syntax tree as text, free of comments, layout, quotes and needless brackets.

    Returns:
        The text, or `None` where CPython rejects the program or can't be asked safely.
    """
    try:
        guard(source, None)
        with quiet():
            return ast.dump(ast.parse(source.removeprefix("\ufeff")))
    # ValueError: NUL bytes, or an integer too long to print.
    except (TooDeepError, SyntaxError, ValueError, MemoryError, RecursionError):
        return None


@dataclass(frozen=True)
class Module:
    """A program that CPython accepts, and which global names it gives and wants.

    Attributes:
        source: the text.
        tree: its syntax tree.
        binds: names bound at module level, by definition, assignment or import.
        needs: global names that it uses and neither binds nor finds among the builtins.
    """

    source: str
    tree: ast.Module
    binds: frozenset[str]
    needs: frozenset[str]


class Workbench:
    """Parses the many variants that one extraction tries, within a fixed budget.

    Args:
        max_attempts: parses before it refuses all else.
        max_bytes: characters parsed in total before it refuses all else; CPython takes about
            a second for 6 million (measured), so this bounds the time on hostile text.
    """

    def __init__(self, *, max_attempts: int = 600, max_bytes: int = 2_000_000) -> None:
        self._attempts = max_attempts
        self._bytes = max_bytes
        self._lookups = 20 * max_attempts
        self._known: dict[str, Module | None] = {}

    @property
    def exhausted(self) -> bool:
        """Whether the budget is spent; every unknown source is then taken for invalid."""
        return self._attempts <= 0 or self._bytes <= 0 or self._lookups <= 0

    def module(self, source: str) -> Module | None:
        """The parsed program, or `None` where it is no valid module (or can't be told)."""
        self._lookups -= 1
        if source not in self._known:
            if self.exhausted:
                return None
            self._attempts -= 1
            self._bytes -= len(source)
            self._known[source] = _parse_module(source)
        return self._known[source]


def _parse_module(source: str) -> Module | None:
    try:
        if compile_error(source) is not None:
            return None
        with quiet():
            tree = ast.parse(source)
            top = symtable.symtable(source, "<candidate>", "exec")
    except (TooDeepError, SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    binds: set[str] = set()
    needs: set[str] = set()
    pending = [top]
    while pending:
        table = pending.pop()
        pending.extend(table.get_children())
        for symbol in table.get_symbols():
            if symbol.is_assigned() or symbol.is_imported():
                if table is top or symbol.is_declared_global():
                    binds.add(symbol.get_name())
            elif symbol.is_referenced() and symbol.is_global():
                needs.add(symbol.get_name())
    return Module(source, tree, frozenset(binds), frozenset(needs - binds - _BUILTINS))
