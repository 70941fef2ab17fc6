"""Strategies by name; others come through the entry-point group `regreen.strategies`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from agent.search.base import Strategy, StrategyOptions
from agent.search.free_edits import FreeEdits
from agent.search.options import StrategyOptionError
from agent.search.options import UnknownStrategyError as UnknownStrategyError
from agent.search.tree import TreeSearch

ENTRY_POINT_GROUP = "regreen.strategies"


StrategyBuilder = Callable[[StrategyOptions], Strategy[Any]]

_BUILT_IN = {
    "adaptive": "agent.search.adaptive:build",
    "agreement": "agent.search.agreement:build",
    "beam": "agent.search.beam:build",
    "best-of-n": "agent.search.best_of_n:build",
    "decompose": "agent.search.decompose:build",
    "dvts": "agent.search.dvts:build",
    "greedy": "agent.search.greedy:build",
    "grow": "agent.search.grow:build",
    "majority": "agent.search.majority:build",
    "mcts": "agent.search.mcts:build",
    "plan": "agent.search.plan:build",
    "thompson": "agent.search.thompson:build",
}

_LET_VOTE = ("adaptive", "agreement")
"""Those that rank programs by more than tests, or come to one that does."""


def strategy_names() -> tuple[str, ...]:
    """The names of all known strategies, sorted."""
    found = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    return tuple(sorted({*_BUILT_IN, *found}))


def create_strategy(name: str, options: StrategyOptions) -> Strategy[Any]:
    """The strategy of a name, with free edits around it if they are wanted and it makes none.

    Greedy is the baseline, and stays what it is.

    Raises:
        UnknownStrategyError: there is none.
        StrategyOptionError: it doesn't take one of the options.
    """
    builder: StrategyBuilder | None = None
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        builder = cast(StrategyBuilder, getattr(import_module(module), attribute))
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name) if builder is None else ():
        builder = cast(StrategyBuilder, point.load())
    if name in _BUILT_IN and options.reward is not None and name not in _LET_VOTE:
        raise StrategyOptionError(
            f"strategy {name} takes no learned reward: it ranks by what the visible tests say; "
            f"{' and '.join(_LET_VOTE)} take one"
        )
    if builder is not None:
        strategy = builder(options)
        without = name == "greedy" or options.exhaustive or not options.edits
        if without or isinstance(strategy, TreeSearch):
            return strategy
        return FreeEdits(inner=strategy, edits=options.edits)
    raise UnknownStrategyError(
        f"unknown strategy {name!r}: known are {', '.join(strategy_names())}"
    )
