"""Every function of some JavaScript files, and which others it may come to by their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tree_sitter import Node

from agent.fix.functions import Function, Functions
from verifiers.javascript import parse, plain_string, test_function, text_of, walk
from verifiers.repository import Snapshot

KINDS = frozenset({
    "function_declaration", "generator_function_declaration", "function_expression",
    "generator_function", "arrow_function", "method_definition",
})  # fmt: skip
MODULE = "(module)"
"""The name of what stands outside of all functions."""
_NAMES = frozenset({
    "identifier", "property_identifier", "private_property_identifier",
    "shorthand_property_identifier",
})  # fmt: skip


class ScriptFunctions(Functions):
    """The functions of some files, found by name; the code outside of them is one more.

    Args:
        snapshot: the repository.
        paths: of the files to read; what is too long is left out.
    """

    def __init__(self, snapshot: Snapshot, paths: Iterable[str]) -> None:
        self.of_file: dict[str, tuple[Function, ...]] = {}
        self._by_name: dict[str, list[Function]] = {}
        self._roots: dict[str, Node] = {}
        for path in paths:
            root = parse(snapshot.text(path) or "")
            if root is not None:
                self._roots[path] = root
                self.of_file[path] = tuple(_functions(path, root))
        for function in self:
            owner, _, own = function.name.rpartition(".")
            for name in (own, owner.rpartition(".")[2]):
                if name and name != MODULE:
                    self._by_name.setdefault(name, []).append(function)

    def of_test(self, test: str) -> Function | None:
        """The function behind an id, as `path::suite > name`."""
        path, _, rest = test.partition("::")
        root = self._roots.get(path)
        node = None if root is None else test_function(root, rest.split(" > "))
        return None if node is None else _function(path, rest, node)

    def imported(self, path: str) -> frozenset[str]:
        """The last parts of what a file imports, without endings."""
        root = self._roots.get(path)
        found = {plain_string(node) for node in walk(root)} if root is not None else set()
        parts = (one.rpartition("/")[2] for one in found if one and one.startswith("."))
        return frozenset(part.partition(".")[0] for part in parts)


def function_nodes(root: Node) -> Iterator[tuple[str, Node]]:
    """Each function with a name, qualified as `Class.method`, and the module itself."""
    yield MODULE, root
    for node in walk(root):
        if node.type in KINDS and (name := name_of(node)):
            yield name, node


def _functions(path: str, root: Node) -> Iterator[Function]:
    for name, node in function_nodes(root):
        yield _function(path, name, node)


def _function(path: str, name: str, node: Node) -> Function:
    uses = {text_of(one) for one in walk(node) if one.type in _NAMES}
    own = name.rpartition(".")[2]
    last = node.end_point.row + 1
    return Function(path, name, node.start_point.row + 1, last, frozenset(uses - {own}))


def name_of(node: Node) -> str:
    """What a function is called, or kept as; empty for one that is only passed on."""
    own = text_of(node.child_by_field_name("name"))
    parent = node.parent
    if not own and parent is not None:
        field = {
            "variable_declarator": "name",
            "assignment_expression": "left",
            "pair": "key",
            "field_definition": "property",
        }.get(parent.type, "")
        own = text_of(parent.child_by_field_name(field)).rpartition(".")[2] if field else ""
        if parent.type == "export_statement":
            own = "default"
    owner = parent
    while own and owner is not None and owner.type not in ("class_declaration", "class"):
        owner = None if owner.type in KINDS else owner.parent
    prefix = text_of(owner.child_by_field_name("name")) if own and owner is not None else ""
    return f"{prefix}.{own}" if prefix else own
