"""A cascade: several models, cheap first, each with a search of its own; the verifier is the gate.

A better model is asked only where the ones before have failed. It may be shown the failures that
came closest, which it then repairs, before it begins anew. After Chen, Zaharia and Zou, "FrugalGPT"
(2023); where programs are verified by tests, nothing has to learn when to go on to the next model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.search.base import Proposal, SearchState, Strategy, seen
from agent.search.tree import distinct, ranked
from tasks.model import PublicTask
from verifiers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Stage:
    """One model's part.

    Attributes:
        samples: of this model at the most.
        build: makes its search, given how many samples that may draw.
    """

    samples: int
    build: Callable[[int], Strategy[Any]]


class CascadeState(SearchState):
    """The state of a cascade.

    Attributes:
        task: that is searched for, since a search begins with its task.
        order: the models' places in the order in which they are asked.
        turn: how many of them are done with.
        stage: the model's place, from 0.
        first: the index of the stage's first proposal.
        base: the index of the first proposal of the stage's own search; before it are repairs.
        parents: failures of earlier stages that are repaired, one for each index before `base`.
        inner: the state of the stage's own search, as JSON has it, since it may be of any kind;
            `None` where repairs take all its samples.
    """

    task: PublicTask
    order: tuple[int, ...] = ()
    turn: int = 0
    stage: int = 0
    first: int = 0
    base: int = 0
    parents: tuple[int, ...] = ()
    inner: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Goes from model to model until one of them passes.

    Args:
        stages: one for each model.
        failures: samples of a better model that repair failures of the ones before, at the most.
        temperature: of those repairs.
        begin: the place of the model that a task begins with; those before it are asked last, so
            that whatever it says, the same models are asked before a task is left unsolved.
        exhaustive: ask all models even after a pass, to measure.
        name: of the search that each stage makes, with a word that it is a cascade.
    """

    stages: tuple[Stage, ...]
    failures: int = 0
    temperature: float = 0.8
    begin: Callable[[PublicTask], int] | None = None
    exhaustive: bool = False
    name: str = "cascade"
    _kinds: dict[int, type[SearchState]] = field(default_factory=dict, repr=False, compare=False)
    """The kind of state that each stage's search has, once it is known."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a cascade has no models: give at least one")

    def start(self, task: PublicTask) -> CascadeState:
        """The first model's search, nothing asked."""
        places = range(len(self.stages))
        first = min(self.begin(task), places[-1]) if self.begin is not None else 0
        order = (*places[first:], *places[:first])
        return self._enter(CascadeState(task=task, order=order), 0)

    def ask(self, state: CascadeState, k: int) -> tuple[CascadeState, tuple[Proposal, ...]]:
        """What this stage's search asks; when that is over, the next one's."""
        made: list[Proposal] = []
        while len(made) < k and not state.exhausted and not self._won(state):
            if state.asked < state.base:
                made.append(self._repair(state))
                state = state.model_copy(update={"asked": state.asked + 1})
                continue
            state, own = self._ask_inner(state, k - len(made))
            made += own
            if own:
                continue
            if not self._stage_over(state) or state.turn == len(state.order) - 1:
                break
            state = self._enter(state, state.turn + 1)
        return state, tuple(made)

    def tell(self, state: CascadeState, proposal: Proposal, verdict: Verdict) -> CascadeState:
        """Remembers the candidate, and tells the stage's search if it was its own."""
        update: dict[str, Any] = {"seen": (*state.seen, seen(proposal, verdict))}
        if state.inner is not None and proposal.index >= state.base:
            search, own = self._search(state), _moved(proposal, -state.base)
            inner = search.tell(self._inner(state), own, verdict)
            update["inner"] = inner.model_dump(mode="json")
        return state.model_copy(update=update)

    def finished(self, state: CascadeState) -> bool:
        """At the first verified pass, or when the last stage is over."""
        if self._won(state):
            return True
        return state.turn == len(state.order) - 1 and self._stage_over(state)

    def _won(self, state: CascadeState) -> bool:
        return not self.exhaustive and any(one.passed for one in state.seen)

    def _stage_over(self, state: CascadeState) -> bool:
        if len(state.seen) < max(state.base, state.asked):
            return False
        return state.inner is None or self._search(state).finished(self._inner(state))

    def _inner(self, state: CascadeState) -> SearchState:
        """The state of the stage's own search, of the kind that the search has."""
        if state.stage not in self._kinds:
            self._kinds[state.stage] = type(self._search(state).start(state.task))
        return self._kinds[state.stage].model_validate(state.inner)

    def _search(self, state: CascadeState) -> Strategy[Any]:
        stage = self.stages[state.stage]
        return stage.build(stage.samples - len(state.parents))

    def _enter(self, state: CascadeState, turn: int) -> CascadeState:
        """The state at the beginning of a stage."""
        number = state.order[turn]
        failed = distinct(ranked(one for one in state.seen if one.whole and not one.passed))
        most = min(self.failures, self.stages[number].samples)
        parents = tuple(one.index for one in failed[:most])
        update = {
            "turn": turn,
            "stage": number,
            "first": state.asked,
            "base": state.asked + len(parents),
            "parents": parents,
            "inner": None,
        }
        state = state.model_copy(update=update)
        if len(parents) == self.stages[number].samples:
            return state  # the repairs are all that it may ask
        inner = self._search(state).start(state.task)
        return state.model_copy(update={"inner": inner.model_dump(mode="json")})

    def _repair(self, state: CascadeState) -> Proposal:
        return Proposal(
            index=state.asked,
            kind="repair",
            temperature=self.temperature,
            parent=state.parents[state.asked - state.first],
            tier=state.stage,
            serial=state.asked - state.first,
        )

    def _ask_inner(self, state: CascadeState, k: int) -> tuple[CascadeState, tuple[Proposal, ...]]:
        if state.inner is None:
            return state, ()
        inner, own = self._search(state).ask(self._inner(state), k)
        moved = tuple(
            _moved(one, state.base).model_copy(
                update={"tier": state.stage, "serial": one.index + state.base - state.first}
            )
            for one in own
        )
        update = {"inner": inner.model_dump(mode="json"), "asked": state.asked + len(moved)}
        return state.model_copy(update=update), moved


def _moved(proposal: Proposal, by: int) -> Proposal:
    """The same proposal, counted from another index."""
    return proposal.model_copy(
        update={
            "index": proposal.index + by,
            "parent": None if proposal.parent is None else proposal.parent + by,
            "uses": tuple(index + by for index in proposal.uses),
        }
    )
