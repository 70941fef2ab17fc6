"""Greedy: one sample at temperature 0, the baseline that every search has to beat."""

from __future__ import annotations

from agent.search.base import StrategyOptions
from agent.search.best_of_n import BestOfN
from agent.search.options import OwnOptions, read_own


def build(options: StrategyOptions) -> BestOfN:
    """Best-of-1 at temperature 0, whatever else the user set.

    Raises:
        StrategyOptionError: an option, of which it has none.
    """
    read_own("greedy", OwnOptions, options)
    return BestOfN(n=1, temperature=0.0, name="greedy")
