"""The functions to show of a repository: cut out by tree-sitter, with what they can't do without.

tree-sitter reads what CPython refuses, too, so a file with a fault in its syntax can be shown.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict
from tree_sitter import Node

from agent.fix.suspects import Suspect
from verifiers.repository import Snapshot
from verifiers.syntax import parse_tree

_GAP = "..."
_ROUND = 3
"""Lines around one that must be seen, in a function that is too long to be shown as a whole."""


class Excerpt(BaseModel):
    """One function, and what is around it.

    Attributes:
        path: of its file.
        name: qualified, as `Class.method`.
        line: its first, counted from 1.
        last: its last.
        text: the function as it stands in the file, blanks at its beginning included; of one that
            is too long its head and the suspicious lines, with `...` for what is left out.
        whole: whether nothing is left out.
        imports: the import statements at the top of its file.
        around: the heads of the classes that it is in, outermost first.
        constants: other statements at the top of its file that bind a name which it mentions.
        hot: its most suspicious lines, first those that a traceback names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    name: str
    line: int
    last: int
    text: str
    whole: bool = True
    imports: str = ""
    around: tuple[str, ...] = ()
    constants: str = ""
    hot: tuple[int, ...] = ()


def excerpt(
    snapshot: Snapshot,
    suspects: Sequence[Suspect],
    *,
    functions: int = 5,
    characters: int = 6_000,
) -> tuple[Excerpt, ...]:
    """The most suspicious functions, to be shown.

    A function that another one shown is a part of is left out.

    Args:
        snapshot: the repository.
        suspects: its functions, most suspicious first.
        functions: how many are shown at the most.
        characters: of all their texts; the first is shown in any case, shortened if need be.

    Raises:
        ValueError: a limit is below 1.
    """
    if functions < 1 or characters < 1:
        raise ValueError(f"functions {functions} and characters {characters} have to be 1 or more")
    found: list[Excerpt] = []
    left = characters
    for suspect in suspects:
        if len(found) >= functions or left <= 0:
            break
        if suspect.path not in snapshot.files or any(_within(suspect, one) for one in found):
            continue
        one = _cut(snapshot, suspect, left)
        if not found or len(one.text) <= left:
            found.append(one)
            left -= len(one.text)
    return tuple(found)


def _within(suspect: Suspect, shown: Excerpt) -> bool:
    same = suspect.path == shown.path
    return same and shown.line <= suspect.line and suspect.last <= shown.last


def _cut(snapshot: Snapshot, suspect: Suspect, characters: int) -> Excerpt:
    content = snapshot.files[suspect.path].content
    # lines as Python counts them: str.splitlines knows more ends of lines
    lines = io.StringIO(content.decode("utf-8", "replace"), newline="").readlines()
    hot = (*suspect.lines, *(line for line in _hottest(suspect) if line not in suspect.lines))
    text = "".join(lines[suspect.line - 1 : suspect.last])
    fields = {
        "path": suspect.path,
        "name": suspect.name,
        "line": suspect.line,
        "last": suspect.last,
        "hot": hot,
    }
    tree = parse_tree(content)
    node = _function(tree.root_node, suspect) if tree is not None else None
    head = suspect.line
    if tree is not None and node is not None:
        body = node.child_by_field_name("body")
        head = max(suspect.line, body.start_point[0] if body is not None else suspect.line)
        fields |= {
            "imports": "\n".join(_texts(_imports(tree.root_node))),
            "around": tuple(_class_heads(node)),
            "constants": "\n".join(_texts(_constants(tree.root_node, _names(node)))),
        }
    if len(text) > characters:
        text = _shortened(lines, suspect, head, hot, characters)
        fields["whole"] = False
    return Excerpt.model_validate({**fields, "text": text})


def _hottest(suspect: Suspect) -> list[int]:
    """Lines that stand out; none where all are equally suspicious."""
    if len(set(suspect.heat.values())) < 2 and len(suspect.heat) > _ROUND:
        return []
    return [line for line, heat in sorted(suspect.heat.items()) if heat >= 1.0]


def _function(root: Node, suspect: Suspect) -> Node | None:
    """The innermost function definition that spans the suspect's lines."""
    first, last = suspect.line - 1, suspect.last - 1
    node: Node | None = root
    found = None
    while node is not None:
        if node.type == "decorated_definition":
            node = node.child_by_field_name("definition")  # it begins behind the decorators
            continue
        if node.type == "function_definition":
            found = node
        node = next(
            (
                child
                for child in node.named_children
                if child.start_point[0] <= first and last <= child.end_point[0]
            ),
            None,
        )
    return found


def _class_heads(node: Node) -> list[str]:
    heads: list[str] = []
    parent = node.parent
    while parent is not None:
        body = parent.child_by_field_name("body")
        if parent.type == "class_definition" and body is not None and parent.text is not None:
            head = parent.text[: body.start_byte - parent.start_byte]
            heads.insert(0, head.decode("utf-8", "replace").strip())
        parent = parent.parent
    return heads


def _imports(root: Node) -> Iterator[Node]:
    kinds = ("import_statement", "import_from_statement", "future_import_statement")
    return (node for node in root.named_children if node.type in kinds)


def _constants(root: Node, names: set[str]) -> Iterator[Node]:
    """Statements at the top that bind one of these names, by plain assignment."""
    for node in root.named_children:
        inner = node.named_children[0] if node.type == "expression_statement" else None
        if inner is not None and inner.type == "assignment":
            left = inner.child_by_field_name("left")
            if left is not None and left.text is not None and left.text.decode() in names:
                yield node


def _names(node: Node) -> set[str]:
    found: set[str] = set()
    left = [node]
    while left:
        one = left.pop()
        if one.type == "identifier" and one.text is not None:
            found.add(one.text.decode("utf-8", "replace"))
        left += one.named_children
    return found


def _texts(nodes: Iterator[Node]) -> Iterator[str]:
    return ((node.text or b"").decode("utf-8", "replace") for node in nodes)


def _shortened(
    lines: list[str], suspect: Suspect, head: int, hot: Sequence[int], characters: int
) -> str:
    """The head of a function and its suspicious lines, as many as there is room for."""
    kept = set(range(suspect.line, head + 1))
    room = characters - sum(len(lines[number - 1]) for number in kept)
    for line in hot or range(head + 1, suspect.last + 1):
        near = range(max(suspect.line, line - _ROUND), min(suspect.last, line + _ROUND) + 1)
        for number in near:
            if number not in kept and room >= len(lines[number - 1]):
                kept.add(number)
                room -= len(lines[number - 1])
    shown: list[str] = []
    for number in range(suspect.line, suspect.last + 1):
        if number in kept:
            shown.append(lines[number - 1])
        elif not shown or shown[-1].strip() != _GAP:
            text = lines[number - 1]
            shown.append(f"{text[: len(text) - len(text.lstrip())].rstrip(chr(10))}{_GAP}\n")
    return "".join(shown)
