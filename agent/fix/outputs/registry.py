"""Formats by name; others come through the entry-point group `regreen.fix_outputs`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from agent.fix.outputs.base import Render

ENTRY_POINT_GROUP = "regreen.fix_outputs"

_BUILT_IN = {
    "commit-message": "agent.fix.outputs.files:commit_message",
    "junit": "agent.fix.outputs.junit:render",
    "markdown": "agent.fix.outputs.markdown:render",
    "patch": "agent.fix.outputs.files:patch",
    "result": "agent.fix.outputs.files:result",
    "sarif": "agent.fix.outputs.sarif:render",
    "story": "agent.fix.outputs.files:story",
}


class UnknownOutputError(Exception):
    """There is no such format. One line."""


def output_names() -> tuple[str, ...]:
    """The names of all known formats, sorted."""
    found = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    return tuple(sorted({*_BUILT_IN, *found}))


def find_output(name: str) -> Render:
    """The format of a name.

    Raises:
        UnknownOutputError: there is none.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast(Render, getattr(import_module(module), attribute))
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return cast(Render, point.load())
    raise UnknownOutputError(f"unknown format {name!r}: known are {', '.join(output_names())}")
