"""Which functions are worth watching: those that a patch changes, and those that call them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.fix.functions import Functions
from agent.fix.validation.difference import FunctionNode, parse, parts
from verifiers.repository import Patch, Snapshot

_CHANGED, _CALLERS = 8, 8
"""Functions at the most."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A function whose calls are noted.

    Attributes:
        path: of its file.
        name: qualified.
        node: as it was, for its annotations.
        changed: whether a patch changes it; else it calls one that is.
    """

    path: str
    name: str
    node: FunctionNode
    changed: bool


def functions_to_watch(
    snapshot: Snapshot, patches: Sequence[Patch], sources: Iterable[str]
) -> tuple[Watched, ...]:
    """The functions that some patches change, and the functions of the sources that name those.

    Where a patch changes what stands outside of functions, it is the functions of that file that
    use a name from there.

    Args:
        snapshot: the repository as it was.
        patches: whole new texts of files by their paths, each.
        sources: paths of the files that may be changed.
    """
    nodes = {path: _nodes(snapshot, path) for path in sources}
    changed: dict[tuple[str, str], FunctionNode] = {}
    for patch in patches:
        for part in parts(snapshot, patch):
            here = nodes.get(part.path, {})
            if part.name in here:
                changed[part.path, part.name] = here[part.name]
            elif not part.name:
                names = {
                    node.id
                    for one in (*part.removed(), *part.added())
                    for node in ast.walk(one)
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
                }
                changed |= {(part.path, name): here[name] for name in _using(here, names)}
    kept = dict(list(changed.items())[:_CHANGED])
    own = {name.rpartition(".")[2] for _, name in kept}
    callers = [
        Watched(path, name, nodes[path][name], False)
        for path, name in _callers(snapshot, nodes, own)
        if (path, name) not in kept
    ]
    found = [Watched(path, name, node, True) for (path, name), node in kept.items()]
    return (*found, *callers[:_CALLERS])


def _nodes(snapshot: Snapshot, path: str) -> dict[str, FunctionNode]:
    """The outermost functions of a file and the methods of its classes; the last of a name."""
    found: dict[str, FunctionNode] = {}

    def add(body: Iterable[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{prefix}{node.name}"] = node
            elif isinstance(node, ast.ClassDef):
                add(node.body, f"{prefix}{node.name}.")

    add(parse(snapshot.text(path) or "").body, "")
    return found


def _using(nodes: dict[str, FunctionNode], names: set[str]) -> list[str]:
    return [
        name
        for name, function in nodes.items()
        if names & {one.id for one in ast.walk(function) if isinstance(one, ast.Name)}
    ]


def _callers(
    snapshot: Snapshot, nodes: dict[str, dict[str, FunctionNode]], names: set[str]
) -> list[tuple[str, str]]:
    """Functions that name one of these, those of the fewest parameters first."""
    found = [
        (one.path, one.name)
        for one in Functions(snapshot, nodes)
        if one.uses & names and one.name in nodes[one.path]
    ]
    return sorted(found, key=lambda one: len(nodes[one[0]][one[1]].args.args))
