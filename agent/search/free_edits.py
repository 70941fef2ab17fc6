"""Free edits for a strategy that knows nothing of them.

Whatever a strategy draws that fails and is promising is edited before anything more is paid for.
The edits stand between the strategy's own proposals; it isn't told of them, and counts on as if
there were none. Strategies over a tree have edits of their own (`agent.search.tree`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import SerializeAsAny

from agent.search.base import (
    PieceVerdict,
    Proposal,
    SearchState,
    Seen,
    Strategy,
    prepared,
    seen,
)
from tasks.model import PublicTask
from verifiers.verdict import Verdict

_PAID_AHEAD = 4
"""Proposals of the strategy that may be open at a time: what is drawn ahead of an edit that passes
is drawn for nothing. A constant, so that nothing hangs on how many calls are made at a time."""
EDITS_AHEAD = 8
"""Edits of one program that may be open at a time: how many it has shows when they are made."""
EDITS_FROM = 0.5
"""The reward from which on a program is promising."""


class FreeEditsState(SearchState):
    """The state of a strategy with edits around it.

    Attributes:
        inner: the strategy's own state.
        paid: what the strategy proposed, as it was proposed here; its own number is the place.
        open: proposals that were not told yet, by index.
        editing: programs whose edits are being tried, by index, with the number of the next edit.
    """

    inner: SerializeAsAny[SearchState]
    paid: tuple[Proposal, ...] = ()
    open: tuple[Proposal, ...] = ()
    editing: tuple[tuple[int, int], ...] = ()

    @property
    def best(self) -> Seen | None:
        """An edit that passes, the strategy's own choice, or an edit that is better than that."""
        standing = {one.index: one for one in self.seen}
        own = tuple(one for one in self.inner.seen if self.paid[one.index].index in standing)
        chosen = self.inner.model_copy(update={"seen": own}).best
        edits = SearchState(seen=tuple(one for one in self.seen if one.kind == "edit")).best
        if chosen is None:
            return edits
        if edits is not None and not chosen.passed and edits.passed:
            return edits
        return standing[self.paid[chosen.index].index]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeEdits:
    """A strategy, and up to `edits` edits of each promising program that it draws.

    Args:
        inner: the strategy.
        edits: of one program at the most.
        edits_from: the reward from which on a program is promising.
    """

    inner: Strategy[Any]
    edits: int
    edits_from: float = EDITS_FROM

    @property
    def name(self) -> str:
        """The strategy's own."""
        return self.inner.name

    def prepared(self, task: PublicTask) -> PublicTask:
        """The task as the strategy wants it judged."""
        return prepared(self.inner, task)

    def start(self, task: PublicTask) -> FreeEditsState:
        """Nothing asked, nothing seen."""
        return FreeEditsState(inner=self.inner.start(task))

    def ask(self, state: FreeEditsState, k: int) -> tuple[FreeEditsState, tuple[Proposal, ...]]:
        """Edits as long as there are any; else what the strategy proposes."""
        made: list[Proposal] = []
        while len(made) < k and not _won(state):
            edits_open = sum(one.free for one in state.open)
            if state.editing:
                if edits_open >= EDITS_AHEAD:
                    break
                state, proposal = self._edit(state)
            elif edits_open or state.exhausted or len(state.open) >= _PAID_AHEAD:
                break
            else:
                inner, proposals = self.inner.ask(state.inner, 1)
                state = state.model_copy(update={"inner": inner})
                if not proposals:
                    break
                state, proposal = _renumbered(state, proposals[0])
            made.append(proposal)
        return state, tuple(made)

    def _edit(self, state: FreeEditsState) -> tuple[FreeEditsState, Proposal]:
        (parent, step), *others = state.editing
        proposal = Proposal(index=state.asked, kind="edit", parent=parent, step=step, free=True)
        left = [(parent, step + 1)] if step + 1 < self.edits else []
        return _with(state, proposal, editing=(*left, *others)), proposal

    def tell(self, state: FreeEditsState, proposal: Proposal, verdict: Verdict) -> FreeEditsState:
        """Takes in a verdict; the strategy is told of what is its own."""
        still_open = tuple(one for one in state.open if one.index != proposal.index)
        if proposal.free:
            if isinstance(verdict, PieceVerdict):  # there are no more edits of it
                left = tuple(one for one in state.editing if one[0] != proposal.parent)
                return state.model_copy(update={"open": still_open, "editing": left})
            told = (*state.seen, seen(proposal, verdict))
            return state.model_copy(update={"open": still_open, "seen": told})
        number = next(n for n, one in enumerate(state.paid) if one.index == proposal.index)
        # the loop says on the outside that there is nothing more to be had
        inner = state.inner.model_copy(update={"exhausted": state.exhausted})
        known = seen(proposal, verdict)
        promising = known.whole and not known.passed and known.reward >= self.edits_from
        more = ((proposal.index, 0),) if promising else ()
        return state.model_copy(
            update={
                "inner": self.inner.tell(inner, _own(state, number), verdict),
                "open": still_open,
                "seen": (*state.seen, known),
                "editing": (*state.editing, *more),
            }
        )

    def finished(self, state: FreeEditsState) -> bool:
        """At an edit that passes, or when the strategy is at its end and so are the edits."""
        if _won(state):
            return True
        edits_open = any(one.free for one in state.open)
        return not state.editing and not edits_open and self.inner.finished(state.inner)


def _won(state: FreeEditsState) -> bool:
    return any(one.passed and one.kind == "edit" for one in state.seen)


def _with(state: FreeEditsState, proposal: Proposal, **more: object) -> FreeEditsState:
    """The state after a proposal was made."""
    update = {"asked": state.asked + 1, "open": (*state.open, proposal), **more}
    return state.model_copy(update=update)


def _renumbered(state: FreeEditsState, own: Proposal) -> tuple[FreeEditsState, Proposal]:
    """A proposal of the strategy with a number among all, and what it names likewise."""
    numbers = [one.index for one in state.paid]
    proposal = own.model_copy(
        update={
            "index": state.asked,
            "parent": None if own.parent is None else numbers[own.parent],
            "uses": tuple(numbers[one] for one in own.uses),
            "draw": own.number,
        }
    )
    return _with(state, proposal, paid=(*state.paid, proposal)), proposal


def _own(state: FreeEditsState, number: int) -> Proposal:
    """A proposal as the strategy made it."""
    made = state.paid[number]
    numbers = {one.index: place for place, one in enumerate(state.paid)}
    return made.model_copy(
        update={
            "index": number,
            "parent": None if made.parent is None else numbers[made.parent],
            "uses": tuple(numbers[one] for one in made.uses),
            "draw": None,
        }
    )
