"""Several samples from one call: a server that gives many answers at once reads the prompt once.

Which samples come together is decided by their numbers, so that it doesn't hang on how many calls
are under way: those of 0 to 3, of 4 to 7, and so on, where a call brings four.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import anyio

from agent.llm.base import Completion
from agent.search.base import Proposal


@dataclass(slots=True)
class JointCall:
    """One call for several samples; whose turn comes first makes it.

    Attributes:
        proposals: what it is made for, in order.
        found: what came, and what it cost, by index; a server may give fewer than it was asked for.
        error: why nothing came.
        done: set when it is over.
    """

    proposals: tuple[Proposal, ...]
    found: dict[int, tuple[Completion, float]] = field(default_factory=dict)
    error: Exception | None = None
    done: anyio.Event = field(default_factory=anyio.Event)


def companions(first: Proposal, waiting: Iterable[Proposal], size: int) -> list[Proposal]:
    """Which of the waiting proposals ask the very same as `first`, and belong to the same call.

    Args:
        first: a proposal about to be worked on.
        waiting: others that nobody works on yet.
        size: samples of a call.
    """
    if size == 1 or not _is_plain(first):
        return []
    return [
        one
        for one in waiting
        if _is_plain(one)
        and one.number // size == first.number // size
        and (one.temperature, one.tier, one.group) == (first.temperature, first.tier, first.group)
    ]


def join(proposals: Sequence[Proposal]) -> dict[int, JointCall]:
    """The call of several proposals, by the index of each."""
    call = JointCall(tuple(proposals))
    return {one.index: call for one in proposals}


def _is_plain(proposal: Proposal) -> bool:
    """Whether it asks for nothing but a fresh sample of the whole program."""
    return proposal.kind == "sample" and proposal.parent is None and not proposal.free
