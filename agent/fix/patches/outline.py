"""Where functions and classes stand in Python text, by tree-sitter: it takes any text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from verifiers.syntax import parse_tree


@dataclass(frozen=True, slots=True)
class Spot:
    """One function or class; lines count from 0.

    Attributes:
        name: qualified, as `Class.method`.
        kind: `function` or `class`.
        first: the line of its first decorator, of its documentation above it, or of its head.
        head: the line of its head.
        stop: the first line behind it.
        depth: how many functions and classes it is in.
        alone: whether nothing else stands in its lines.
    """

    name: str
    kind: str
    first: int
    head: int
    stop: int
    depth: int
    alone: bool = True


def outline(text: str) -> tuple[Spot, ...]:
    """All functions and classes of a text, those in others behind these."""
    tree = parse_tree(text.encode("utf-8", "surrogatepass"))
    return tuple(_spots(tree.root_node, "", 0, None)) if tree is not None else ()


def _spots(node: Node, prefix: str, depth: int, decorated: Node | None) -> Iterator[Spot]:
    for child in node.children:
        if child.type == "decorated_definition":
            yield from _spots(child, prefix, depth, child)
        elif child.type in ("function_definition", "class_definition"):
            named = child.child_by_field_name("name")
            text = (named.text or b"").decode("utf-8", "replace") if named is not None else ""
            around = decorated or child
            yield Spot(
                name=f"{prefix}{text}",
                kind=child.type.removesuffix("_definition"),
                first=around.start_point[0],
                head=child.start_point[0],
                stop=child.end_point[0] + 1,
                depth=depth,
            )
            yield from _spots(child, f"{prefix}{text}.", depth + 1, None)
        else:
            yield from _spots(child, prefix, depth, None)
