"""Small edits of a patched program: would the suite notice, if the patch were a bit otherwise?

A suite that lets such programs pass does not say which of them is meant, and that the patch passes
it says little. It is mutation analysis (DeMillo, Lipton and Sayward, "Hints on Test Data
Selection", 1978), of the functions that the patch changes only; mutants that do the same as the
patch are told by running them on the shared inputs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from agent.fix.validation.difference import parts
from agent.search.edits.propose import families
from agent.search.edits.source import LONGEST, Change, FunctionNode, Source, read
from verifiers.repository import Patch, Snapshot
from verifiers.syntax import canonical

_FROM_EACH_FAMILY = 400


def neighbours(snapshot: Snapshot, patch: Patch, *, count: int, seed: int = 0) -> tuple[Patch, ...]:
    """Patches that are one edit away from a given one, drawn evenly from the families of edits.

    Args:
        snapshot: the repository as it was.
        patch: whole new texts of files by their paths.
        count: at the most.
        seed: of the drawing.
    """
    draw = random.Random(seed)
    rows: dict[str, list[tuple[str, Source, Change]]] = {}
    for path, text in sorted(patch.items()):
        source = read(text, longest=20 * LONGEST) if text and "\r" not in text else None
        if source is None:
            continue
        for function in _changed(snapshot, patch, path, source):
            for name, family in families().items():
                made = list(family(source, function))[:_FROM_EACH_FAMILY]
                rows.setdefault(name, []).extend((path, source, change) for change in made)
    for row in rows.values():
        draw.shuffle(row)
    known = {_forms(patch), _forms({path: snapshot.text(path) for path in patch})}
    found: list[Patch] = []
    for path, source, change in _in_turns(list(rows.values())):
        other: Patch = {**patch, path: source.apply(change)}
        forms = _forms(other)
        if forms is not None and forms not in known:
            known.add(forms)
            found.append(other)
        if len(found) >= count:
            break
    return tuple(found)


def _changed(snapshot: Snapshot, patch: Patch, path: str, source: Source) -> Iterator[FunctionNode]:
    """The functions of a file that the patch changes."""
    lines = {
        part.line
        for part in parts(snapshot, patch)
        if part.path == path and part.name and part.new is not None
    }
    for function in source.functions:
        if function.lineno in lines:
            yield function


def _in_turns(
    rows: list[list[tuple[str, Source, Change]]],
) -> Iterator[tuple[str, Source, Change]]:
    while any(rows):
        for row in rows:
            if row:
                yield row.pop()


def _forms(patch: Patch) -> tuple[str, ...] | None:
    """What two patches share that are the same program; `None` if one of its files is no Python."""
    found = [canonical(text or "") for _, text in sorted(patch.items())]
    return None if None in found else tuple(map(str, found))


def size(snapshot: Snapshot, patch: Patch) -> int:
    """Nodes of the syntax tree that a patch adds or takes away."""
    return sum(len(part.added()) + len(part.removed()) for part in parts(snapshot, patch))
