"""All flags of a patch, by its syntax alone; nothing is run for them."""

from __future__ import annotations

from collections.abc import Mapping

from agent.fix.validation.flags import Flag, Sort, Weight
from agent.fix.validation.removals import removals
from agent.fix.validation.special_cases import special_cases
from agent.fix.validation.tricks import tricks
from verifiers.repository import Patch, Snapshot


def find_flags(snapshot: Snapshot, patch: Patch, failing: Mapping[str, str]) -> tuple[Flag, ...]:
    """All that speaks against a patch by its syntax, the heaviest first, one of a sort a line.

    Args:
        snapshot: the repository as it was.
        patch: whole new texts of files by their paths.
        failing: ids of the tests that it turns, with the end of the traceback.
    """
    found = [
        *special_cases(snapshot, patch, failing),
        *tricks(snapshot, patch),
        *removals(snapshot, patch),
    ]
    order = list(Weight)
    heaviest: dict[tuple[Sort, str, int], Flag] = {}
    for one in sorted(found, key=lambda one: order.index(one.weight)):
        heaviest.setdefault((one.sort, one.path, one.line), one)
    return tuple(heaviest.values())
