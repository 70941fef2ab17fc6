"""A missing import: a name that nothing binds, and that the standard library has."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source
from verifiers.syntax import Workbench

_MODULES = frozenset(
    {"bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "hashlib"}
    | {"heapq", "itertools", "json", "math", "operator", "random", "re", "statistics", "string"}
    | {"typing"}
)
_NAMES = {
    "collections": "Counter OrderedDict defaultdict deque namedtuple",
    "copy": "copy deepcopy",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "functools": "cmp_to_key lru_cache reduce",
    "hashlib": "md5",
    "heapq": "heapify heappop heappush nlargest nsmallest",
    "itertools": "accumulate chain combinations count cycle groupby islice permutations product "
    "takewhile zip_longest",
    "math": "ceil factorial floor gcd log pi sqrt",
    "operator": "itemgetter mul",
    "statistics": "mean median mode",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits punctuation",
    "typing": "Any Callable Dict Iterable List Optional Sequence Set Tuple Union",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}


def changes(source: Source, _function: FunctionNode) -> Iterator[Change]:
    """The imports that a program lacks, all in one change."""
    module = Workbench(max_attempts=1).module(source.text)
    if module is None:
        return
    lines = [line for name in sorted(module.needs) if (line := _import(name))]
    if not lines:
        return
    # `from __future__` has to stay first, and so has a docstring
    before = [
        node
        for node in source.tree.body
        if (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    place = source.line_start((before[-1].end_lineno or 0) + 1 if before else 1)
    yield Change("import.missing", 0, ((place, place, "".join(lines)),))


def _import(name: str) -> str:
    if name in _MODULES:
        return f"import {name}\n"
    return f"from {_MODULE_OF[name]} import {name}\n" if name in _MODULE_OF else ""
