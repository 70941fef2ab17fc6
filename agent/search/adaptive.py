"""Adaptive: begins like greedy, goes on like best-of-n, and repairs where that has paid.

One cool sample first, since most tasks need no more; then fresh samples, a few at a time; then,
where the task's tier allows it, repairs mixed in. Whether a repair is made is drawn from beliefs in
what has bettered the search so far, a fresh sample or a repair (Thompson, "On the Likelihood that
One Unknown Probability Exceeds Another", 1933); which program is repaired, as in
`agent.search.thompson`. What a task is given hangs on its tier, which the router revises after each
verdict; where a task has drawn what its tier allows, it is given up. The router looks at the fresh
samples of this state and at nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from agent.routing.features import Features, features
from agent.routing.route import Route
from agent.routing.router import Router
from agent.search.base import Proposal, StrategyOptions
from agent.search.thompson import Thompson, ThompsonOptions
from agent.search.tree import Idea, TreeOptions, TreeSearch, TreeState, common, read_tree
from tasks.model import PublicTask


class AdaptiveOptions(TreeOptions):
    """Options of the adaptive search.

    Attributes:
        first_temperature: of the first sample, which is to be the likeliest one.
        wave: samples under way at a time after the first; the more, the less each knows of the
            others, and the more are drawn for nothing when one passes.
        rate: ask the model first, in a call of its own, how difficult it finds the task.
        fresh_first: fresh samples before the first repair.
        depth: repairs in a row at the most.
        repair_from: the reward from which on a failed program may be repaired.
    """

    first_temperature: float = Field(default=0.0, ge=0, le=5)
    wave: int = Field(default=2, ge=1)
    rate: bool = False
    fresh_first: int = Field(default=3, ge=1)
    depth: int = Field(default=2, ge=0)
    repair_from: float = Field(default=0.3, ge=0, le=1)


class AdaptiveState(TreeState):
    """The state of an adaptive search.

    Attributes:
        told: what the task's prompt and visible tests tell of it.
    """

    told: Features = Features()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive(TreeSearch[AdaptiveState]):
    """Greedy, then best-of-n, then repairs where they pay, as far as the task's tier allows."""

    own: AdaptiveOptions = field(default_factory=AdaptiveOptions)
    router: Router
    repairs: bool = True
    name: str = "adaptive"

    def start(self, task: PublicTask) -> AdaptiveState:
        """Nothing asked, nothing seen."""
        return AdaptiveState(seed=self.first_seed(task), told=features(task))

    def route(self, state: AdaptiveState) -> Route:
        """Where the task stands."""
        return self.router.route(state.told, state.seen)

    def ideas(self, state: AdaptiveState) -> tuple[Idea, ...]:
        """A fresh sample or a repair, as long as the tier allows more."""
        if self.exhaustive:  # to measure: independent samples, all alike
            return (Idea(),)
        wave = self.own.wave if state.seen else 1
        if len(state.open) >= wave and not self.router.hurried:
            return ()
        if self.own.rate and self.repairs and not state.made:
            return (Idea(kind="rate"),)
        route = self.route(state)
        if state.paid >= route.samples:
            return ()
        if route.strategy == "thompson" and self.repairs:
            return (self._fresh_or_repair(state),)
        return (Idea(),)

    def gave_up(self, state: AdaptiveState) -> bool:
        """Whether the tier's budget is spent, and not that of the search."""
        return self.finished(state) and not self._won(state) and state.paid < self.n

    def tuned(self, state: AdaptiveState, proposal: Proposal) -> Proposal:
        """The first sample is cool, all others are as the user has set; a tier may let it think."""
        if self.exhaustive or proposal.free:
            return proposal
        update: dict[str, float | int | None] = {}
        if not any(one.kind == "sample" for one in state.made):
            update["temperature"] = min(self.own.first_temperature, self.temperature)
        thinking = self.router.plan(self.route(state)).thinking_tokens
        return proposal.model_copy(update={**update, "thinking": thinking})

    def _fresh_or_repair(self, state: AdaptiveState) -> Idea:
        """What is drawn from the beliefs in both; a repair needs something worth repairing."""
        repairer = Thompson(own=ThompsonOptions(depth=self.own.depth))
        arms = [one for one in repairer.arms(state) if one[0].reward >= self.own.repair_from]
        fresh = sum(one.kind == "sample" for one in state.made)
        if not arms or fresh < self.own.fresh_first:
            return Idea()
        lot = state.draw("way")
        if lot.betavariate(*bettered(state, "sample")) >= lot.betavariate(
            *bettered(state, "repair")
        ):
            return Idea()
        drawn = [
            (lot.betavariate(*repairer.belief(node.reward, tries)), -node.index)
            for node, tries in arms
        ]
        return Idea(kind="repair", parent=-max(drawn)[1])


def bettered(state: TreeState, kind: str) -> tuple[float, float]:
    """The Beta distribution of the chance that one more of a kind betters the best reward so far.

    Those under way count as ones that don't. A repair that doesn't counts twice: it is asked with
    about twice as many tokens, and many models can't repair at all.
    """
    price = 1.0 if kind == "sample" else 2.0
    better, worse = 1.0, price
    best: float | None = None
    for one in state.seen:
        if one.kind == kind and best is not None:
            if one.reward > best:
                better += 1
            else:
                worse += price
        best = one.reward if best is None else max(best, one.reward)
    return better, worse + price * sum(one.kind == kind for one in state.open)


def build(options: StrategyOptions) -> Adaptive:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that the adaptive search doesn't have.
    """
    own = read_tree("adaptive", AdaptiveOptions, options)
    return Adaptive(
        own=own,
        router=Router(profile=options.profile, n=options.n),
        repairs=options.repairs,
        **common(options, own),
    )
