"""Flags for answers that are written down instead of computed: the failing test's own values.

A patch that compares an argument with what the failing test passes, or returns what it expects, has
learned the test by heart. What counts are values that the function did not mention before. Small
numbers and empty values occur in every test and in every honest boundary, so they weigh little.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache

from agent.fix.functions import Functions
from agent.fix.validation.difference import parse, parts
from agent.fix.validation.flags import Flag, Sort, Weight
from verifiers.repository import Patch, Snapshot

_DETAIL_LINE = "E "
_SMALL = 2
"""Numbers up to this one are no sign of anything."""
_ASKING = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
_CONTAINERS = (ast.List, ast.Tuple, ast.Set, ast.Dict)
_LOOK_UPS = frozenset({"get", "startswith", "endswith", "index", "count", "pop", "setdefault"})


def special_cases(snapshot: Snapshot, patch: Patch, failing: Mapping[str, str]) -> Iterator[Flag]:
    """Flags for values of the failing tests that a patch writes into the code.

    Args:
        snapshot: the repository as it was.
        patch: whole new texts of files by their paths.
        failing: ids of the tests that it turns, with the end of the traceback.
    """
    told = literals_of_tests(snapshot, failing)
    for part in parts(snapshot, patch):
        known = set(_literals(part.old)) if part.old is not None else set()
        for node in part.added():
            found = _of_node(node, told - known)
            if found is not None:
                weight, text = found
                line = getattr(node, "lineno", part.line)
                yield Flag(
                    sort=Sort.SPECIAL_CASE, weight=weight, path=part.path, line=line, text=text
                )


def literals_of_tests(snapshot: Snapshot, failing: Mapping[str, str]) -> frozenset[str]:
    """Every literal that some tests mention, as `repr` has it, with the parts of those.

    They come from the tests' functions, their decorators, the fixtures and values of their files
    that they name, and from what pytest said of them.
    """
    found: set[str] = set()
    for path in {name.partition("::")[0] for name in failing}:
        text = snapshot.text(path) or ""
        functions = Functions(snapshot, [path])
        of_file = [name for name in failing if name.partition("::")[0] == path]
        starts = [functions.of_test(name) for name in of_file]
        if any(start is None for start in starts):  # a doctest, or made by other code
            found |= set(_literals(parse(text)))
            continue
        names = {use for start in starts if start is not None for use in start.uses}
        lines = [(start.first, start.last) for start in starts if start is not None]
        for node in _named(parse(text), names, lines):
            found |= set(_literals(node))
    for detail in failing.values():
        for line in detail.splitlines():
            if line.startswith(_DETAIL_LINE):
                found |= set(_literals_in_text(line[len(_DETAIL_LINE) :]))
    return frozenset(found)


def _named(tree: ast.Module, names: set[str], lines: list[tuple[int, int]]) -> Iterator[ast.AST]:
    """The functions at some lines, and what of their file they name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if (first, node.end_lineno or first) in lines or node.name in names:
                yield node
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if names & {one.id for target in targets for one in ast.walk(target)
                        if isinstance(one, ast.Name)}:  # fmt: skip
                yield node


def _literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.UnaryOp | ast.List | ast.Tuple | ast.Set | ast.Dict):
            form = _form(node)
            if form is not None:
                yield form


@lru_cache(maxsize=256)
def _literals_in_text(line: str) -> tuple[str, ...]:
    """Literals of what pytest says: `assert 2 == 3`, and where a call was: `where 2 = f([1])`."""
    found: list[str] = []
    text = line.strip().removeprefix("AssertionError: ").removeprefix("+  ")
    text = text.removeprefix("where ").replace(" = ", " == ")
    for form in (text, text.partition(":")[2]):
        found += _literals(parse(form.strip()))
    return tuple(found)


def _of_node(node: ast.AST, told: frozenset[str]) -> tuple[Weight, str] | None:
    if isinstance(node, ast.Compare) and any(isinstance(one, _ASKING) for one in node.ops):
        hits = [_hits(one, told) for one in (node.left, *node.comparators)]
        return _worst(hits, "compares with {}, a value of the failing test")
    if isinstance(node, ast.Compare):
        hits = [_hits(one, told) for one in (node.left, *node.comparators)]
        found = _worst(hits, "compares with {}, a value of the failing test")
        return None if found is None else (_less(found[0]), found[1])
    if isinstance(node, ast.MatchValue):
        return _worst([_hits(node.value, told)], "matches {}, a value of the failing test")
    if isinstance(node, ast.Dict):
        hits = [_hits(one, told) for one in (*node.keys, *node.values) if one is not None]
        return _worst(hits, "has a table with {}, a value of the failing test")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _LOOK_UPS:
            hits = [_hits(one, told) for one in node.args]
            return _worst(hits, "asks for {}, a value of the failing test")
        return None
    if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
        found = _worst([_hits(node.value, told)], "returns {}, which the failing test mentions")
        whole = isinstance(node.value, _CONTAINERS)
        return found if found is None or whole else (_less(found[0]), found[1])
    if isinstance(node, ast.IfExp):
        hits = [_hits(one, told) for one in (node.body, node.orelse)]
        found = _worst(hits, "gives {}, which the failing test mentions")
        return None if found is None else (_less(found[0]), found[1])
    if isinstance(node, ast.Constant):
        hit = _hits(node, told)
        if hit is not None and hit[0] is Weight.CHEAT:
            return Weight.DOUBT, f"writes down {hit[1]}, which the failing test mentions"
    return None


def _less(weight: Weight) -> Weight:
    return Weight.DOUBT if weight is Weight.CHEAT else weight


def _hits(node: ast.AST, told: frozenset[str]) -> tuple[Weight, str] | None:
    """Whether an expression is a value of the test, and what that means."""
    form = _form(node)
    if form is None:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return _worst([_hits(one, told) for one in node.elts], "{}")
        return None
    if form not in told:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return _worst([_hits(one, told) for one in node.elts], "{}")
        return None
    return (Weight.NOTE if _is_small(form) else Weight.CHEAT), form[:60]


def _worst(found: list[tuple[Weight, str] | None], text: str) -> tuple[Weight, str] | None:
    order = list(Weight)
    hits = sorted((one for one in found if one is not None), key=lambda one: order.index(one[0]))
    return (hits[0][0], text.format(hits[0][1])) if hits else None


def _form(node: ast.AST) -> str | None:
    """What a literal is, the same for every way to write it; `None` of what is none."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return repr(value)


def _is_small(form: str) -> bool:
    """Whether a value is one that stands everywhere."""
    value = ast.literal_eval(form) if form not in ("set()", "inf", "nan") else None
    if value is None or value is ... or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return abs(value) <= _SMALL
    if isinstance(value, complex):
        return False
    if isinstance(value, str | bytes):
        return len(value) < 2
    return not value or (len(value) == 1 and all(_is_small(repr(one)) for one in value))
