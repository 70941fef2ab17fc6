"""How a model is searched: a beam by default, its first samples at several temperatures.

A pass does not end it: the suite may not tell patches apart that are not equally right, so it goes
on for some samples, and the finalists are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.search.base import Proposal, SearchState, Seen, Strategy, StrategyOptions
from agent.search.beam import Beam, BeamOptions
from agent.search.cascade import Cascade, Stage
from agent.search.options import StrategyError
from agent.search.registry import create_strategy
from agent.search.tree import TreeState, common, read_tree
from agent.settings import DEFAULT_STRATEGY, Settings
from tasks.model import PublicTask
from verifiers.verdict import Verdict

STRATEGIES = ("beam", "best-of-n", "greedy", "mcts", "thompson", "dvts")
"""Those that need nothing of a task but verdicts."""
NO_MODEL = "none"
"""What is said for no model at all."""
_COOLEST, _HOTTEST = 0.25, 1.25
"""Temperatures of the first and the last fresh sample of a wave, as shares of the setting."""
_FURTHER = 4
"""Samples after the first pass, to see whether there is a better patch."""
_ENOUGH = 4
"""Passing patches after which there are enough to compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchBeam(Beam):
    """A beam whose fresh samples go from cool to hot, and which repairs no patch that passes."""

    def tuned(self, state: TreeState, proposal: Proposal) -> Proposal:
        """The temperature of a fresh sample, by its place in its wave."""
        if proposal.kind != "sample":
            return proposal
        size = self.own.width * self.own.expand
        made = [one for one in state.made if one.kind == "sample" and one.group == proposal.group]
        share = len(made) / max(1, size - 1)
        factor = _COOLEST + (_HOTTEST - _COOLEST) * min(1.0, share)
        return proposal.model_copy(update={"temperature": round(self.temperature * factor, 3)})

    def _kept(self, state: TreeState, beam: list[Seen]) -> list[Seen]:
        return Beam._kept(self, state, [one for one in beam if not one.passed])


@dataclass(frozen=True, slots=True)
class GoesOn:
    """A strategy that goes on for some samples behind the first pass.

    Args:
        inner: the strategy, which itself does not end at a pass.
        further: samples behind the first pass.
        enough: passes that end it at once.
    """

    inner: Strategy[Any]
    further: int = _FURTHER
    enough: int = _ENOUGH

    @property
    def name(self) -> str:
        """That of the inner one."""
        return self.inner.name

    def start(self, task: PublicTask) -> SearchState:
        """As the inner one."""
        started: SearchState = self.inner.start(task)
        return started

    def ask(self, state: SearchState, k: int) -> tuple[SearchState, tuple[Proposal, ...]]:
        """As the inner one, but for what would come too late."""
        first = self._first(state)
        room = k if first is None else first + 1 + self.further - state.asked
        if room < 1 or self.finished(state):
            return state, ()
        asked: tuple[SearchState, tuple[Proposal, ...]] = self.inner.ask(state, min(k, room))
        return asked

    def tell(self, state: SearchState, proposal: Proposal, verdict: Verdict) -> SearchState:
        """As the inner one."""
        told: SearchState = self.inner.tell(state, proposal, verdict)
        return told

    def finished(self, state: SearchState) -> bool:
        """When the inner one is, or when enough was seen behind a pass."""
        first = self._first(state)
        if first is not None:
            passes = sum(one.passed for one in state.seen)
            if passes >= self.enough or len(state.seen) > first + self.further:
                return True
        return self.inner.finished(state)

    def _first(self, state: SearchState) -> int | None:
        """How many were told before the first pass."""
        return next((number for number, one in enumerate(state.seen) if one.passed), None)


def asks_model(settings: Settings) -> bool:
    """Whether the user has named a model by a flag, the environment or pyproject.toml.

    The default of other commands, the embedded model, is no help here.
    """
    named = {"model", "cascade"} & settings.model_fields_set
    return bool(named) and settings.model != NO_MODEL


def patch_strategy(settings: Settings) -> Strategy[Any]:
    """The strategy that the settings describe; with several models, a cascade of it.

    Raises:
        StrategyError: it is none of `STRATEGIES`, or does not take one of the options.
    """
    name = "beam" if settings.strategy == DEFAULT_STRATEGY else settings.strategy
    if name not in STRATEGIES:
        raise StrategyError(
            f"strategy {name!r} can't search for patches: choose from {', '.join(STRATEGIES)}"
        )
    # what a recorded model would answer to feedback is in no bank
    recorded = any(one.startswith("replay/") for one in settings.models)
    name = "best-of-n" if recorded and settings.strategy == DEFAULT_STRATEGY else name

    def build(samples: int) -> Strategy[Any]:
        options = StrategyOptions(
            n=samples,
            temperature=settings.temperature,
            exhaustive=True,
            seed=settings.seed,
            repairs=not recorded,
            own=settings.strategy_options if settings.strategy == name else {},
        )
        if name != "beam":
            return create_strategy(name, options)
        own = read_tree(name, BeamOptions, options)
        return PatchBeam(own=own, **common(options, own))

    return GoesOn(build(settings.n) if not settings.cascade else _cascade(settings, build))


def _cascade(settings: Settings, build: Callable[[int], Strategy[Any]]) -> Cascade:
    """Model by model; it ends with the first patch that passes."""
    samples = settings.cascade_samples or (settings.n,) * len(settings.cascade)
    return Cascade(
        stages=tuple(Stage(number, build) for number in samples),
        failures=settings.cascade_failures,
        temperature=settings.temperature,
        name=f"cascade of {build(samples[0]).name}",
    )
