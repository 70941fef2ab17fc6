"""What strategies over a tree of proposals share: ideas in a queue, nodes, depths, an end.

Such a strategy only says which ideas come next (`ideas`), from the state alone. Numbering, the
limit of samples, free edits of promising programs and what is open are kept here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic, TypedDict, TypeVar

from pydantic import Field

from agent.search.base import (
    PieceVerdict,
    Proposal,
    SearchState,
    Seen,
    StrategyOptions,
    _Frozen,
    seen,
)
from agent.search.free_edits import EDITS_AHEAD, EDITS_FROM
from agent.search.options import OwnOptions, read_own
from agent.search.rewards import Aggregate, aggregate
from tasks.model import PublicTask
from verifiers.verdict import Verdict


class TreeOptions(OwnOptions):
    """Options of every strategy over a tree.

    Attributes:
        edits: free edits of each promising program, made without a model and tried before
            anything else. Unset: as for every strategy.
        edits_from: the reward from which on a program is promising.
    """

    edits: int | None = Field(default=None, ge=0)
    edits_from: float = Field(default=EDITS_FROM, ge=0, le=1)


class Idea(_Frozen):
    """A proposal that has no number yet; the fields are those of `Proposal`."""

    kind: str = "sample"
    parent: int | None = None
    uses: tuple[int, ...] = ()
    step: int = 0
    group: int = 0
    free: bool = False


class TreeState(SearchState):
    """The state of a search over a tree.

    Attributes:
        seed: of all that is drawn by lot.
        paid: proposals that ask a model.
        open: proposals that were made and not told yet.
        todo: ideas that are proposed before any new one is thought of.
    """

    seed: str = ""
    paid: int = 0
    open: tuple[Proposal, ...] = ()
    todo: tuple[Idea, ...] = ()

    @property
    def nodes(self) -> dict[int, Seen]:
        """What was told, by index."""
        return {one.index: one for one in self.seen}

    @property
    def made(self) -> tuple[Seen | Proposal, ...]:
        """All that was proposed: what was told, and then what is open."""
        return (*self.seen, *self.open)

    def draw(self, purpose: str = "") -> Random:
        """Random numbers that depend on the state alone, so that a replay draws the same."""
        return Random(f"{self.seed}/{self.asked}/{purpose}")


S = TypeVar("S", bound=TreeState)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSearch(ABC, Generic[S]):
    """A strategy that grows a tree.

    Args:
        n: samples at the most.
        temperature: of every sample.
        exhaustive: go on after a verified pass.
        seed: of all that is drawn by lot.
        edits: see `TreeOptions`.
        edits_from: see `TreeOptions`.
    """

    n: int = 10
    temperature: float = 0.8
    exhaustive: bool = False
    seed: int = 0
    edits: int = 0
    edits_from: float = EDITS_FROM

    @abstractmethod
    def start(self, task: PublicTask) -> S:
        """The state before anything was proposed."""

    @abstractmethod
    def ideas(self, state: S) -> tuple[Idea, ...]:
        """What to propose next; nothing where more has to be told first, or all is done.

        Only called while nothing is queued. Calling it changes nothing.
        """

    def ask(self, state: S, k: int) -> tuple[S, tuple[Proposal, ...]]:
        """The next ideas, numbered."""
        made: list[Proposal] = []
        over = self._won(state)
        while len(made) < k and not over:
            if state.exhausted:
                todo = tuple(one for one in state.todo if one.free) or self._edits(state)
            else:
                todo = state.todo or self._edits(state) or self.ideas(state)
            if not todo or (not todo[0].free and state.paid >= self.n):
                break
            idea = todo[0]
            edits_open = sum(one.free for one in state.open)
            if edits_open >= (EDITS_AHEAD if idea.free else 1):
                break
            between = state.paid != state.asked and not idea.free
            proposal = self.tuned(
                state,
                Proposal(
                    index=state.asked,
                    temperature=self.temperature,
                    draw=state.paid if between else None,
                    **idea.model_dump(),
                ),
            )
            made.append(proposal)
            state = state.model_copy(
                update={
                    "asked": state.asked + 1,
                    "paid": state.paid + (not idea.free),
                    "open": (*state.open, proposal),
                    "todo": todo[1:],
                }
            )
        return state, tuple(made)

    def tuned(self, _state: S, proposal: Proposal) -> Proposal:
        """A proposal with what a strategy wants otherwise: its temperature, its thinking."""
        return proposal

    def _edits(self, state: S) -> tuple[Idea, ...]:
        """Free edits of the first promising program that has none yet; edits aren't edited."""
        if not self.edits:
            return ()
        edited = {one.parent for one in state.made if one.kind == "edit"}
        for one in state.seen:
            promising = one.whole and not one.passed and one.reward >= self.edits_from
            if promising and one.kind != "edit" and one.index not in edited:
                return tuple(
                    Idea(kind="edit", parent=one.index, step=number, group=one.group, free=True)
                    for number in range(self.edits)
                )
        return ()

    def tell(self, state: S, proposal: Proposal, verdict: Verdict) -> S:
        """Remembers what became of a proposal."""
        still_open = tuple(one for one in state.open if one.index != proposal.index)
        told = (*state.seen, seen(proposal, verdict))
        todo = state.todo
        if proposal.free and isinstance(verdict, PieceVerdict):  # there are no more edits of it
            todo = tuple(one for one in todo if not one.free or one.parent != proposal.parent)
        return state.model_copy(update={"seen": told, "open": still_open, "todo": todo})

    def finished(self, state: S) -> bool:
        """At the first verified pass, or when nothing is open and nothing can be proposed."""
        if self._won(state):
            return True
        if state.open:
            return False
        return not self.ask(state, 1)[1]

    def _won(self, state: S) -> bool:
        return not self.exhaustive and any(one.passed for one in state.seen)

    def first_seed(self, task: PublicTask) -> str:
        """The state's seed for one task."""
        return f"{self.seed}/{task.id}"


class Common(TypedDict):
    """What every strategy over a tree takes."""

    n: int
    temperature: float
    exhaustive: bool
    seed: int
    edits: int
    edits_from: float


Own = TypeVar("Own", bound=TreeOptions)


def read_tree(strategy: str, kind: type[Own], options: StrategyOptions) -> Own:
    """A strategy's own options, and free edits as for every strategy where it has none of its own.

    Raises:
        StrategyOptionError: an unknown name or a value that is not allowed.
    """
    own = read_own(strategy, kind, options)
    if own.edits is None:
        own = own.model_copy(update={"edits": 0 if options.exhaustive else options.edits})
    return own


def common(options: StrategyOptions, own: TreeOptions) -> Common:
    """What a user set of any strategy over a tree, as its arguments."""
    return {
        "n": options.n,
        "temperature": options.temperature,
        "exhaustive": options.exhaustive,
        "seed": options.seed,
        "edits": own.edits or 0,
        "edits_from": own.edits_from,
    }


def ancestors(nodes: Mapping[int, Seen], index: int | None) -> list[Seen]:
    """The chain that led to a node: from its root down to the node itself."""
    chain: list[Seen] = []
    while index is not None and index in nodes:
        chain.append(nodes[index])
        index = nodes[index].parent
    return chain[::-1]


def depth(nodes: Mapping[int, Seen], index: int) -> int:
    """How many steps a node is below its root; a fresh sample has depth 0."""
    return len(ancestors(nodes, index)) - 1


def worth(nodes: Mapping[int, Seen], node: Seen, how: Aggregate) -> float:
    """The reward of the chain of steps that led to a node."""
    return aggregate([one.reward for one in ancestors(nodes, node.index)], how)


def ranked(found: Iterable[Seen]) -> list[Seen]:
    """The best first: by reward, then what runs, then what came first."""
    return sorted(found, key=lambda one: (-one.reward, not one.runs, one.index))


def distinct(found: Sequence[Seen]) -> list[Seen]:
    """The first of each behaviour, then the others, each in the given order.

    Two failures of the same behaviour are as good as one when it comes to what to go on from.
    """
    known: set[str] = set()
    firsts: list[Seen] = []
    others: list[Seen] = []
    for one in found:
        (others if one.behaviour in known else firsts).append(one)
        known.add(one.behaviour)
    return [*firsts, *others]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTreeSearch(TreeSearch[TreeState]):
    """A search that has to remember the tree and nothing more."""

    def start(self, task: PublicTask) -> TreeState:
        """Nothing asked, nothing seen."""
        return TreeState(seed=self.first_seed(task))
