"""Kinds of values: read off annotations, or off the values of examples; never by executing any."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_NAMES = {
    "int": "int",
    "float": "float",
    "complex": "float",
    "str": "str",
    "bool": "bool",
    "bytes": "bytes",
    "None": "none",
    "list": "list",
    "List": "list",
    "Sequence": "list",
    "Iterable": "list",
    "Collection": "list",
    "MutableSequence": "list",
    "tuple": "tuple",
    "Tuple": "tuple",
    "set": "set",
    "Set": "set",
    "FrozenSet": "set",
    "frozenset": "set",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
    "MutableMapping": "dict",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        name: `int`, `float`, `str`, `bool`, `bytes`, `none`, `list`, `tuple`, `set`, `dict`,
            `union`, or `unknown`.
        parts: of a list or set, of its items; of a dict, of keys and values; of a tuple, of each
            item, or of all if it is `open`; of a union, what it may be.
        open: whether a tuple may have any number of items.
    """

    name: str
    parts: tuple[Kind, ...] = ()
    open: bool = False


UNKNOWN = Kind("unknown")


def of_annotation(node: ast.expr | None) -> Kind:
    """What an annotation says; `UNKNOWN` where it says nothing that is known here."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return Kind("none")
        return _of_text(node.value) if isinstance(node.value, str) else UNKNOWN
    if isinstance(node, ast.Attribute):
        return Kind(_NAMES.get(node.attr, "unknown"))
    if isinstance(node, ast.Name):
        return Kind(_NAMES.get(node.id, "unknown"))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([of_annotation(node.left), of_annotation(node.right)])
    if isinstance(node, ast.Subscript):
        return _of_subscript(node)
    return UNKNOWN


def _of_text(text: str) -> Kind:
    try:
        return of_annotation(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return UNKNOWN


def _of_subscript(node: ast.Subscript) -> Kind:
    base = node.value
    name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
    inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return _union([of_annotation(inner[0]), Kind("none")])
    if name == "Union":
        return _union([of_annotation(part) for part in inner])
    if name == "Literal":
        values = [part.value for part in inner if isinstance(part, ast.Constant)]
        return of_values(values)
    kind = _NAMES.get(name, "unknown")
    is_open = len(inner) == 2 and isinstance(inner[1], ast.Constant) and inner[1].value is ...
    parts = tuple(of_annotation(part) for part in (inner[:1] if is_open else inner))
    return Kind(kind, parts, open=is_open)


def _union(kinds: Iterable[Kind]) -> Kind:
    flat: dict[Kind, None] = {}
    for kind in kinds:
        flat |= dict.fromkeys(kind.parts if kind.name == "union" else (kind,))
    known = tuple(kind for kind in flat if kind != UNKNOWN)
    if not known:
        return UNKNOWN
    return known[0] if len(known) == 1 else Kind("union", known)


def of_values(values: Iterable[Any]) -> Kind:
    """The kind that some values have in common, or a union of theirs."""
    found = list(dict.fromkeys(_of_value(value) for value in values))
    merged: list[Kind] = []
    for kind in found:
        same = next((one for one in merged if _alike(one, kind)), None)
        if same is None:
            merged.append(kind)
        else:
            merged[merged.index(same)] = _merge(same, kind)
    return _union(merged)


def _alike(one: Kind, other: Kind) -> bool:
    if one.name == other.name == "tuple":
        return len(one.parts) == len(other.parts)
    return one.name == other.name


def _merge(one: Kind, other: Kind) -> Kind:
    if not one.parts or not other.parts:
        return one if one.parts else other
    pairs = zip(one.parts, other.parts, strict=False)
    return Kind(one.name, tuple(_union(pair) if pair[0] != pair[1] else pair[0] for pair in pairs))


def _of_value(value: Any) -> Kind:
    kind = type(value)
    if kind in (list, set, frozenset):
        return Kind("list" if kind is list else "set", _parts(of_values(value)))
    if kind is tuple:
        return Kind("tuple", tuple(_of_value(item) for item in value))
    if kind is dict:
        keys, items = of_values(value.keys()), of_values(value.values())
        return Kind("dict", (keys, items) if value else ())
    return Kind(_NAMES.get(kind.__name__, "none" if value is None else "unknown"))


def _parts(kind: Kind) -> tuple[Kind, ...]:
    return () if kind == UNKNOWN else (kind,)


def refine(annotated: Kind, seen: Kind) -> Kind:
    """The annotation where it says something, with what the examples say of what it leaves open."""
    if annotated.name == "unknown":
        return seen
    if annotated.name == seen.name and seen.parts:
        if not annotated.parts:
            return seen
        if len(annotated.parts) == len(seen.parts):
            pairs = zip(annotated.parts, seen.parts, strict=True)
            return Kind(annotated.name, tuple(refine(*pair) for pair in pairs), annotated.open)
    return annotated
