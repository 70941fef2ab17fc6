"""JavaScript, as far as blocks of code in an answer have to be understood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from agent.fix.javascript.functions import KINDS, name_of
from agent.fix.patches.base import PatchError
from agent.fix.patches.grammar import Code
from agent.fix.patches.outline import Spot
from verifiers.javascript import parse, text_of, walk

_CLASSES = frozenset({"class_declaration", "class"})
_DECLARATIONS = frozenset({"lexical_declaration", "variable_declaration"})
_MEMBERS = frozenset({"method_definition", "pair", "field_definition"})
_HOLDERS = _MEMBERS | _DECLARATIONS | {
    "variable_declarator", "assignment_expression", "expression_statement", "export_statement",
}  # fmt: skip
_SILENT = frozenset({"comment", "hash_bang_line", "empty_statement", "{", "}", "(", ")", ",", ";"})
_WRAPPERS = (("class _ {", "}", "class_body"), ("({", "})", "object"))
"""What members are put into that are given without their class or object."""
_DEEPEST = 400
"""Levels of a syntax tree that are looked at: to ask a node for its parent costs as many steps."""
_DEFINITION = re.compile(
    r"\s*(?:export\s+(?:default\s+)?)?(?:"
    r"(?:async\s+)?function\b|class\s+[\w$]"
    r"|(?:(?:const|let|var)\s+)?[\w$.]+\s*=\s*(?:async\b|function\b|class\b|\(|[\w$]+\s*=>)"
    r"|(?!(?:if|for|while|switch|catch|with|return)\b)"
    r"(?:(?:static|async|get|set)\s+|\*\s*)*#?[\w$]+\s*\([^;]*\)\s*\{"
    r"|[\w$]+\s*:\s*(?:async\b|function\b|\([^)]*\)\s*=>|[\w$]+\s*=>))"
)
_EXPORT = re.compile(r"export\s+(?:default\s+)?")
_DECLARED = re.compile(r"(?:async\s+)?function\b|class\b|(?:const|let|var)\s")
_ASSIGNED = re.compile(r"(?:module\.)?(?P<to>[\w$.#]+)\s*=(?!=)")
_KEYED = re.compile(r"[\w$'\"]+\s*:")
_BEHIND = re.compile(r"\s*[;,]?\s*(?://.*)?")


@dataclass(frozen=True, slots=True)
class _Found:
    """A function or class, and the statement or member that it is kept by."""

    spot: Spot
    node: Node
    holder: Node


class JavaScriptGrammar:
    """See `Grammar`."""

    endings: tuple[str, ...] = (".js", ".mjs", ".cjs")
    gap = 1

    def outline(self, text: str) -> tuple[Spot, ...]:
        root = parse(text)
        return () if root is None else tuple(one.spot for one in _found(root, text.split("\n")))

    def bound(self, text: str) -> set[str]:
        root = parse(text)
        if root is None:
            return set()
        names = {one.name for one in self.outline(text)} | set(_bound(root))
        return names | {
            text_of(one.child_by_field_name("left")).rpartition(".")[2]
            for top in root.children
            for one in top.children
            if one.type == "assignment_expression"
        }

    def defines(self, lines: Sequence[str]) -> bool:
        if not any(_DEFINITION.match(line) for line in lines):
            return False
        try:
            top, before = _parsed(lines)
        except PatchError:
            return True
        return any(True for _ in _found(top, lines, before))

    def read(self, path: str, lines: Sequence[str], *, inner: bool) -> Code:
        top, before = _parsed(lines)
        spots = list(_found(top, lines, before))
        held = {one.holder.id for one in spots if not one.spot.depth}
        rest = [
            node
            for node in top.children
            if node.type not in _SILENT
            and node.id not in held
            and not _is_import(node)
            and not _is_directive(node)
        ]
        return Code(
            path=path,
            lines=tuple(lines),
            spots=tuple(one.spot for one in spots),
            parts=tuple(name for one in spots for name in _parts(one) if not one.spot.depth),
            imports=tuple(text_of(node) for node in top.children if _is_import(node)),
            rest=rest[0].start_point.row - before + 1 if rest else 0,
            inner=inner or bool(before),
        )

    def in_strings(self, lines: Sequence[str]) -> tuple[set[int], set[int]]:
        top, before = _parsed(lines)
        rows: set[int] = set()
        for node in walk(top):
            if node.type == "template_string":
                rows |= set(range(node.start_point.row + 1, node.end_point.row + 1))
        return {row - before for row in rows}, set()

    def instead(self, new: Sequence[str], old: Sequence[str]) -> list[str]:
        """Keeps the old one's `export` and comma; `x = ` has to be there if it was."""
        if _form(new[0]) != _form(old[0]):
            raise PatchError(f"the code has to begin as what it replaces: {old[0].strip()!r}")
        lines = list(new)
        blanks, _, rest = _split(new[0])
        lines[0] = blanks + _split(old[0])[1] + rest
        if _form(old[0]) in ("member", "pair"):
            lines[-1] = lines[-1].rstrip().removesuffix(",")
            lines[-1] += "," if old[-1].rstrip().endswith(",") else ""
        return lines

    def missing(self, code: Code, text: str) -> tuple[int, list[str]]:
        root = parse(text)
        wanted = dict.fromkeys(code.imports)
        if root is None or not wanted:
            return 0, []
        there = set(_bound(root))
        found: list[str] = []
        for statement in wanted:
            own = parse(statement)
            names = set(_bound(own)) if own is not None else set()
            if shared := sorted(names & there):
                if names <= there:
                    continue
                raise PatchError(
                    f"the file has {shared[0]} already: change its imports by a SEARCH/REPLACE "
                    "block"
                )
            found += statement.split("\n")
        last = 0
        for node in root.children:
            if _is_import(node) or _is_directive(node) or node.type == "hash_bang_line":
                last = node.end_point.row + 1
        return last, found


def _parsed(lines: Sequence[str]) -> tuple[Node, int]:
    """What has a block's statements or members, and how many lines are before them.

    Raises:
        PatchError: it breaks the grammar.
    """
    text = "\n".join(lines)
    plain = parse(text)
    if plain is None:
        raise PatchError("the code is too long to be read")
    # `name: (x) => x` has a label by itself
    if not plain.has_error and not any(one.type == "labeled_statement" for one in plain.children):
        return plain, 0
    for begin, end, kind in _WRAPPERS:
        root = parse(f"{begin}\n{text}\n{end}")
        if root is not None and not root.has_error:
            return next(one for one in walk(root) if one.type == kind), 1
    if not plain.has_error:
        return plain, 0
    at = next((one for one in walk(plain) if one.is_error or one.is_missing), plain)
    raise PatchError(f"the code is no valid JavaScript (line {at.start_point.row + 1} of it)")


def _found(top: Node, lines: Sequence[str], before: int = 0) -> Iterator[_Found]:
    """The functions and classes with a name; `before` is what comes off their lines."""
    left = [(child, 0, 0) for child in reversed(top.children)]
    while left:
        node, depth, level = left.pop()
        is_class = node.type in _CLASSES
        name = name_of(node) if is_class or node.type in KINDS else ""
        if level < _DEEPEST:
            within = depth + bool(name)
            left += [(child, within, level + 1) for child in reversed(node.children)]
        if not name:
            continue
        holder = node
        while (around := holder.parent) is not None and _holds(around, holder):
            holder = around
        head, last = holder.start_point.row - before, holder.end_point.row - before
        first = _comment(holder, before)
        spot = Spot(
            name=name.removeprefix("_.") if before else name,
            kind="class" if is_class else "function",
            first=head if first is None else first,
            head=head,
            stop=last + 1,
            depth=depth,
            alone=_is_alone(holder, lines, before),
        )
        yield _Found(spot, node, holder)


def _holds(around: Node, node: Node) -> bool:
    """Whether a node is only there to keep another one."""
    if around.type in _DECLARATIONS:
        return sum(one.type == "variable_declarator" for one in around.children) == 1
    return around.type in _HOLDERS and node.type not in _MEMBERS


def _comment(holder: Node, before: int) -> int | None:
    """The line of the documentation right above."""
    above = holder.prev_sibling
    if above is None or above.type != "comment" or not text_of(above).startswith("/**"):
        return None
    is_near = above.end_point.row == holder.start_point.row - 1
    return above.start_point.row - before if is_near else None


def _is_alone(holder: Node, lines: Sequence[str], before: int) -> bool:
    first, last = holder.start_point, holder.end_point
    begin = lines[first.row - before].encode("utf-8", "replace")[: first.column]
    behind = lines[last.row - before].encode("utf-8", "replace")[last.column :]
    return not begin.strip() and _BEHIND.fullmatch(behind.decode("utf-8", "replace")) is not None


def _parts(one: _Found) -> list[str]:
    """What is to be replaced: a class that has only methods is its methods."""
    body = one.node.child_by_field_name("body")
    if one.spot.kind == "function" or body is None:
        return [one.spot.name]
    members = [node for node in body.children if node.type not in _SILENT]
    if members and all(node.type == "method_definition" for node in members):
        return [name_of(node) for node in members]
    return [one.spot.name]


def _bound(root: Node) -> Iterator[str]:
    """The names that statements at the top declare or import."""
    for top in root.children:
        node = top.child_by_field_name("declaration") or top  # of what is exported
        bound: list[Node | None] = []
        if node.type == "import_statement":
            bound = [one for one in node.children if one.type == "import_clause"]
        elif node.type in _DECLARATIONS:
            bound = [one.child_by_field_name("name") for one in node.named_children]
        elif node.type in _CLASSES or node.type in KINDS:
            bound = [node.child_by_field_name("name")]
        for part in bound:
            for one in walk(part) if part is not None else ():
                kinds = ("identifier", "shorthand_property_identifier_pattern")
                if one.type in kinds and not _is_renamed(one):
                    yield text_of(one)


def _is_renamed(node: Node) -> bool:
    """Whether a name is the one that another module gives, and not the one here."""
    parent = node.parent
    if parent is None or parent.type != "import_specifier":
        return False
    alias = parent.child_by_field_name("alias")
    return alias is not None and alias.id != node.id


def _is_import(node: Node) -> bool:
    if node.type in _DECLARATIONS:
        values = [
            one.child_by_field_name("value")
            for one in node.named_children
            if one.type == "variable_declarator"
        ]
        return all(_is_required(value) for value in values)
    return node.type == "import_statement"


def _is_required(value: Node | None) -> bool:
    while value is not None and value.type == "member_expression":
        value = value.child_by_field_name("object")
    if value is None or value.type != "call_expression":
        return False
    return text_of(value.child_by_field_name("function")) == "require"


def _is_directive(node: Node) -> bool:
    """Whether a statement is a text only, as 'use strict'."""
    return node.type == "expression_statement" and node.named_children[0].type == "string"


def _split(line: str) -> tuple[str, str, str]:
    """A line's indentation, its `export`, and what follows."""
    rest = line.lstrip()
    export = _EXPORT.match(rest)
    length = export.end() if export is not None else 0
    return line[: len(line) - len(rest)], rest[:length], rest[length:]


def _form(line: str) -> str:
    """How a function is kept, by the line that it begins in: what another of its name has to do."""
    rest = _split(line)[2]
    if _DECLARED.match(rest):
        return "declared"
    if assigned := _ASSIGNED.match(rest):
        return assigned["to"]
    return "pair" if _KEYED.match(rest) else "member"


JAVASCRIPT_GRAMMAR = JavaScriptGrammar()
