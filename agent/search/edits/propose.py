"""The edits of a program, most promising first, each another program than all before it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import cast

from agent.search.edits import (
    arguments,
    decorators,
    flow,
    guards,
    handlers,
    imports,
    missing,
    names,
    numbers,
    operators,
    order,
    others,
    swaps,
    terms,
    wraps,
)
from agent.search.edits.ranking import score
from agent.search.edits.source import Change, FunctionNode, Source, read
from agent.search.edits.symptoms import NOTHING_KNOWN, Symptoms
from verifiers.syntax import canonical

Family = Callable[[Source, FunctionNode], Iterator[Change]]

ENTRY_POINT_GROUP = "regreen.edits"

_BUILT_IN: dict[str, Family] = {
    "imports": imports.changes,
    "operators": operators.changes,
    "numbers": numbers.changes,
    "swaps": swaps.changes,
    "names": names.changes,
    "terms": terms.changes,
    "wraps": wraps.changes,
    "guards": guards.changes,
    "flow": flow.changes,
    "missing": missing.changes,
}
_WIDE: dict[str, Family] = {
    "order": order.changes,
    "arguments": arguments.changes,
    "handlers": handlers.changes,
    "decorators": decorators.changes,
    "others": others.changes,
}
"""What goes wrong in grown code rather than in samples of a model; the edits of those were measured
without these."""

MOST = 500
"""Edits of one program at the most, however many are asked for."""


@functools.cache
def families(*, wide: bool = False) -> dict[str, Family]:
    """Every family of edits by name; others come through the entry-point group `regreen.edits`.

    Args:
        wide: whether those for code that has grown, as in repositories, are among them.
    """
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    return (_BUILT_IN | _WIDE if wide else _BUILT_IN) | {
        name: cast(Family, point.load()) for name, point in sorted(found.items())
    }


class Edits:
    """The edits of one program, made as they are asked for.

    Args:
        source: of the program.
        found: what its verdict says.
    """

    def __init__(self, source: Source, found: Symptoms) -> None:
        self._source = source
        made = [
            change
            for function in source.functions
            for family in families().values()
            for change in family(source, function)
        ]
        # sorting is stable, so equals stay in the order of families and text
        self._left = iter(sorted(made, key=lambda change: -score(change, found)))
        self._known = {canonical(source.text)}
        self._edits: list[tuple[Change, str]] = []

    def get(self, number: int) -> tuple[Change, str] | None:
        """The edit of that number, from 0, with the program that it makes."""
        while len(self._edits) <= number < MOST:
            if not self._next():
                return None
        return self._edits[number] if number < MOST else None

    def _next(self) -> bool:
        """Makes one more, or says that there is none."""
        for change in self._left:
            program = self._source.apply(change)
            form = canonical(program)
            # the form is what `normalised_hash` digests: comments and layout make no other program
            if form is not None and form not in self._known:
                self._known.add(form)
                self._edits.append((change, program))
                return True
        return False


@functools.lru_cache(maxsize=64)
def edits_of(
    program: str, found: Symptoms = NOTHING_KNOWN, entry_point: str = "", given: str = ""
) -> Edits | None:
    """The edits of a program, kept for a while, since they are asked for one by one.

    Args:
        program: complete source.
        found: what its verdict says.
        entry_point: of its task.
        given: the task's prompt.

    Returns:
        `None` where the program can't be edited: it is none, or too long.
    """
    source = read(program, entry_point, given)
    return Edits(source, found) if source is not None else None
