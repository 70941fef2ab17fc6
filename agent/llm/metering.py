"""Tells what a call to a model has cost so far, also where it never returns.

Whoever calls a model opens a meter around the call; a provider notes each amount as it becomes
known. A call that returns reports its usage itself, and the meter is only read where it was
cancelled or failed. A provider that notes nothing is taken to have spent nothing on such calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from agent.llm.base import Usage
from agent.llm.usage import add_usage


@dataclass(slots=True)
class Meter:
    """What the calls made under it have cost."""

    usage: Usage = field(default_factory=Usage)


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered() -> Iterator[Meter]:
    """A meter for all calls made in this block, in tasks that it starts too."""
    meter = Meter()
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def note(usage: Usage) -> None:
    """Adds what was just spent to the meter that is open, if one is."""
    meter = _current.get()
    if meter is not None:
        meter.usage = add_usage(meter.usage, usage)
