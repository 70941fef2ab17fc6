"""Kinds of proposals by name; others come through the entry-point group `regreen.proposals`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from agent.proposals.base import Kind
from agent.search.options import StrategyError

ENTRY_POINT_GROUP = "regreen.proposals"

_BUILT_IN = {
    "edit": "agent.proposals.edit:Edit",
    "sample": "agent.proposals.sample:Sample",
    "repair": "agent.proposals.repair:Repair",
    "plan": "agent.proposals.plan:Plan",
    "code": "agent.proposals.plan:Code",
    "rate": "agent.proposals.rate:Rate",
    "step": "agent.proposals.step:Step",
    "rollout": "agent.proposals.rollout:Rollout",
    "decompose": "agent.proposals.decompose:Decompose",
    "helper": "agent.proposals.decompose:Helper",
    "compose": "agent.proposals.decompose:Compose",
}


class UnknownKindError(StrategyError):
    """No kind of proposal of that name; the message lists the known ones."""


def kind_names() -> tuple[str, ...]:
    """The names of all known kinds, sorted."""
    found = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    return tuple(sorted({*_BUILT_IN, *found}))


@functools.cache
def kind_of(name: str) -> Kind:
    """The kind of a name.

    Raises:
        UnknownKindError: there is none.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast(Callable[[], Kind], getattr(import_module(module), attribute))()
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return cast(Callable[[], Kind], point.load())()
    raise UnknownKindError(
        f"unknown kind of proposal {name!r}: known are {', '.join(kind_names())}"
    )
