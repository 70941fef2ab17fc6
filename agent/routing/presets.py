"""Profiles that are shipped, and the one that settings choose.

`full` spends what `-n` allows on whatever is not hopeless. `production` is the mix that services in
the field report: about 70 % of the tasks get one greedy sample, 20 % best-of-4 and 10 % a full
search, decided by the prompt alone, so that the bill is known beforehand. `latency` draws at once
what it draws, and stops after half a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.routing.profile import Profile, ProfileError, Tiers, read_profile
from agent.routing.route import TierPlan, Way

PRESETS = {
    "full": Profile(),
    "production": Profile(
        name="production",
        revise=False,
        tiers=Tiers(
            # the 30th, 10th and 3rd of a hundred HumanEval tasks, the least promising first
            easy=TierPlan(chance=0.1031, strategy="greedy", samples=1),
            medium=TierPlan(chance=0.0523, strategy="best-of-n", samples=4),
            hard=TierPlan(chance=0.0316),
            very_hard=TierPlan(),
        ),
    ),
    "latency": Profile(
        name="latency",
        hurried=True,
        tiers=Tiers(
            easy=TierPlan(chance=0.3, strategy="best-of-n", samples=4, seconds=30.0),
            medium=TierPlan(chance=0.1, strategy="best-of-n", samples=8, seconds=30.0),
            hard=TierPlan(chance=0.02, strategy="best-of-n", samples=8, seconds=30.0),
            very_hard=TierPlan(strategy="best-of-n", samples=8, seconds=30.0),
        ),
    ),
}


def choose_profile(
    name: str,
    path: Path | None = None,
    *,
    samples: Sequence[int] = (),
    strategies: Sequence[Way] = (),
) -> Profile:
    """The profile that settings describe.

    Args:
        name: of a preset; not looked at where a file is given.
        path: of a profile.
        samples: of the four tiers, from easy to very hard, in place of the profile's.
        strategies: likewise.

    Raises:
        ProfileError: there is no such preset, the file can't be used, or it isn't four words.
    """
    if path is None and name not in PRESETS:
        raise ProfileError(f"unknown routing {name!r}: known are {', '.join(PRESETS)}")
    profile = PRESETS[name] if path is None else read_profile(path)
    for what, given in (("samples", samples), ("strategies", strategies)):
        if given and len(given) != len(profile.tiers.all):
            raise ProfileError(
                f"tier_{what} has {len(given)} words: give four, from easy to very hard"
            )
    plans = [plan.model_dump() for plan in profile.tiers.all]
    for place, plan in enumerate(plans):
        plan |= {"samples": samples[place]} if samples else {}
        plan |= {"strategy": strategies[place]} if strategies else {}
    tiers = dict(zip(Tiers.model_fields, plans, strict=True))
    return profile.model_copy(update={"tiers": Tiers.model_validate(tiers)})


def pooled(profile: Profile) -> Profile:
    """The same where a pool decides how much a task is given: no tier gives up by itself."""
    plans = [plan.model_copy(update={"samples": None}) for plan in profile.tiers.all]
    tiers = Tiers(**dict(zip(Tiers.model_fields, plans, strict=True)))
    return profile.model_copy(update={"tiers": tiers, "revise": True})
