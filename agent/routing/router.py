"""The router: in which tier a task stands, from its looks at first, then from its verdicts too.

It has no state: the same looks and the same verdicts, the same route.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.routing.chance import chance
from agent.routing.features import Features
from agent.routing.observed import Failures, Observed, failures
from agent.routing.profile import Profile
from agent.routing.route import Route, TierPlan


class Drawn(Observed, Protocol):
    """What has to be known of what was drawn; `agent.search.base.Seen` is one."""

    @property
    def kind(self) -> str:
        """What was asked for; only fresh samples say how likely the next one passes."""
        ...

    @property
    def whole(self) -> bool:
        """Whether it is a whole program."""
        ...

    @property
    def good(self) -> bool:
        """Whether all went well, for a piece by its own tests."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Routes tasks by a profile.

    Args:
        profile: what it goes by.
        n: samples a task at the most, whatever its tier.
    """

    profile: Profile
    n: int

    @property
    def hurried(self) -> bool:
        """Whether waiting for a verdict takes more than it saves."""
        return self.profile.hurried

    def route(self, looks: Features, drawn: Sequence[Drawn] = ()) -> Route:
        """Where a task stands.

        Args:
            looks: what its prompt and visible tests tell.
            drawn: what came of it so far.
        """
        fresh = [one for one in drawn if one.kind == "sample" and one.whole]
        failed = failures(fresh) if self.profile.revise else Failures()
        rating = next((one.reward for one in drawn if one.kind == "rate" and one.good), None)
        rated = 0.0 if rating is None else 2 * rating - 1
        believed = chance(self.profile.weights, looks, failed, rated)
        tier, plan = self.profile.tiers.of(believed)
        return Route(
            tier=tier,
            chance=believed,
            samples=min(self.n, plan.samples or self.n),
            strategy=plan.strategy,
            reason=f"{_told(looks, failed)}: the next sample passes in {_share(believed)}",
        )

    def plan(self, route: Route) -> TierPlan:
        """What the tier of a route is given."""
        return self.profile.tiers.of(route.chance)[1]


def _told(looks: Features, failed: Failures) -> str:
    if failed.count:
        many = "1 sample" if failed.count == 1 else f"{failed.count} samples"
        ways = "1 way" if failed.behaviours == 1 else f"{failed.behaviours} ways"
        return f"{many} failed in {ways}"
    words, tests = (round(math.expm1(one)) for one in (looks.words, looks.tests))
    return f"{words} words, {looks.parameters} parameters, {tests} tests"


def _share(chance: float) -> str:
    percent = 100 * chance
    return f"{percent:.0f} %" if percent >= 2 else f"{percent:.1f} %"
