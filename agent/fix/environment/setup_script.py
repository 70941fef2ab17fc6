"""What a `setup.py` says, by its syntax: it is read, never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from verifiers.syntax import python_module

_KEPT = frozenset({
    "name", "version", "install_requires", "tests_require", "extras_require", "package_dir",
    "use_scm_version", "entry_points",
})  # fmt: skip


class _UnknownValueError(Exception):
    """A value can't be told without running the script."""


def read_setup_script(text: str) -> Mapping[str, Any]:
    """The arguments of a script's call of `setup` that can be told by looking.

    Names stand for what is assigned to them at the top of the file; lists, tuples, dictionaries and
    texts may be added up, and a part that can't be told is left out of them.
    """
    tree = python_module(text)
    if tree is None:
        return {}
    names: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            _assign(node.targets[0], node.value, names)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            _assign(node.target, node.value, names)
    found: dict[str, Any] = {}
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or _called(call.func) != "setup":
            continue
        for keyword in call.keywords:
            try:
                value = _value(keyword.value, names)
            except (_UnknownValueError, RecursionError):
                continue
            if keyword.arg is None and isinstance(value, dict):
                found |= {name: one for name, one in value.items() if name in _KEPT}
            elif keyword.arg in _KEPT:
                found[keyword.arg] = value
    return found


def _called(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _assign(target: ast.expr, value: ast.expr, names: dict[str, Any]) -> None:
    try:
        if isinstance(target, ast.Name):
            names[target.id] = _value(value, names)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            holder = names.get(target.value.id)
            if isinstance(holder, dict):
                holder[_value(target.slice, names)] = _value(value, names)
    except (_UnknownValueError, TypeError, RecursionError):
        if isinstance(target, ast.Name):
            names.pop(target.id, None)


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """What an expression is worth.

    Raises:
        _UnknownValueError: that can't be told.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [one for part in node.elts for one in _part(part, names)]
    if isinstance(node, ast.Dict):
        return _dictionary(node, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _sum(node, names)
    if isinstance(node, ast.Call):
        return _call(node, names)
    if isinstance(node, ast.Subscript):
        holder = _value(node.value, names)
        key = _value(node.slice, names)
        if isinstance(holder, dict) and isinstance(key, str) and key in holder:
            return holder[key]
    raise _UnknownValueError


def _part(node: ast.expr, names: Mapping[str, Any]) -> list[Any]:
    """An element of a list, or the elements that a star stands for; none if it can't be told."""
    try:
        if isinstance(node, ast.Starred):
            inner = _value(node.value, names)
            return list(inner) if isinstance(inner, list) else []
        return [_value(node, names)]
    except _UnknownValueError:
        return []


def _dictionary(node: ast.Dict, names: Mapping[str, Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        try:
            worth = _value(value, names)
            if key is None:
                found |= worth if isinstance(worth, dict) else {}
            else:
                found[_value(key, names)] = worth
        except (_UnknownValueError, TypeError):
            continue
    return found


def _sum(node: ast.BinOp, names: Mapping[str, Any]) -> Any:
    sides = []
    for side in (node.left, node.right):
        try:
            sides.append(_value(side, names))
        except _UnknownValueError:
            continue
    if len(sides) == 2 and type(sides[0]) is type(sides[1]) and isinstance(sides[0], (list, str)):
        return sides[0] + sides[1]
    if len(sides) == 1 and isinstance(sides[0], list):  # the other one can't be told
        return sides[0]
    raise _UnknownValueError


def _call(node: ast.Call, names: Mapping[str, Any]) -> Any:
    """`list(x)`, `dict(a=...)`, and `"...".split()`."""
    name = _called(node.func)
    if isinstance(node.func, ast.Attribute) and name in ("split", "splitlines") and not node.args:
        text = _value(node.func.value, names)
        if isinstance(text, str):
            return text.split() if name == "split" else text.splitlines()
    if name in ("list", "tuple", "sorted", "set") and len(node.args) == 1:
        return _value(node.args[0], names)
    if name == "dict" and not node.args:
        found: dict[str, Any] = {}
        for keyword in node.keywords:
            for worth in _part(keyword.value, names):
                if keyword.arg is None:
                    found |= worth if isinstance(worth, dict) else {}
                else:
                    found[keyword.arg] = worth
        return found
    raise _UnknownValueError
