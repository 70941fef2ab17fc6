"""The wrong exception caught, or one too few."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source

_USUAL = ("KeyError", "ValueError", "TypeError", "IndexError", "AttributeError", "StopIteration")


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Other exceptions in handlers, and further ones beside those that are caught."""
    for node in source.nodes(function):
        if not isinstance(node, ast.ExceptHandler) or node.type is None:
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        texts = [source.of(one) for one in caught]
        for other in [name for name in _USUAL if name not in texts]:
            for one in caught:
                yield source.replace("exception.other", one, other)
            yield source.replace("exception.also", node.type, f"({', '.join([*texts, other])})")
