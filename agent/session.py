"""Opens what verdicts need, in order, and closes it again; makes the search over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from agent import events
from agent.budget import Budget, Ledger
from agent.confirming import open_second
from agent.drawing import Sampling
from agent.journal import Journal
from agent.loop import Confirm, Searcher
from agent.reward.model import read_reward
from agent.reward.signs import SIGNS
from agent.routing.features import features
from agent.routing.pool import Pool
from agent.routing.presets import choose_profile, pooled
from agent.routing.profile import Profile
from agent.routing.router import Router
from agent.search.base import Strategy, StrategyOptions
from agent.search.cascade import Cascade, Stage
from agent.search.registry import create_strategy
from agent.settings import DEFAULT_STRATEGY, Settings
from agent.tiers import Tier
from sandbox.base import Sandbox
from sandbox.jobs import Limits
from sandbox.registry import SandboxOptions, choose_sandbox
from tasks.model import PublicTask, Task
from verifiers.cache import VerdictCache, default_cache_path
from verifiers.verifier import Verifier, merge_limits

UNDECIDED_STRATEGY = "agreement"
"""What the default strategy comes to for tasks on which a pass decides nothing."""


@dataclass(frozen=True, slots=True)
class Bench:
    """An open sandbox with its verifier.

    Attributes:
        sandbox: open.
        why: why it is this one.
        verifier: over it.
        cache: of verdicts, if it is used.
    """

    sandbox: Sandbox
    why: str
    verifier: Verifier
    cache: VerdictCache | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the bench: a cache that is out of use."""
        return (self.cache.fault,) if self.cache is not None and self.cache.fault else ()


@asynccontextmanager
async def open_bench(settings: Settings, tasks: Iterable[Task]) -> AsyncIterator[Bench]:
    """Opens the sandbox that the settings ask for, fit for the tasks.

    Raises:
        SandboxUnavailableError: it can't be had; the message says what to do.
    """
    known = list(tasks)
    requirements = {item for task in known for item in task.public().requirements}
    elsewhere = settings.confirm_sandbox or settings.confirm_runtime
    options = SandboxOptions(
        slots=settings.slots,
        spares=1 if settings.confirm and not elsewhere else 0,
        isolation=settings.isolation,
        limits=_largest(settings.limits, known),
        requirements=tuple(sorted(requirements)),
        image=settings.image,
        base=settings.base_image,
        runtime=settings.runtime,
        allow_reduced=settings.allow_reduced_isolation,
    )
    sandbox, why = await choose_sandbox(settings.sandbox, options)
    async with sandbox, open_second(settings, options) as second:
        cache = VerdictCache(default_cache_path()) if settings.cache else None
        try:
            verifier = Verifier(
                sandbox,
                cache=cache,
                limits=settings.limits,
                seed=settings.seed,
                allow_in_process=settings.allow_in_process,
                second=second,
            )
            yield Bench(sandbox, why, verifier, cache)
        finally:
            if cache is not None:
                cache.close()


def make_profile(settings: Settings) -> Profile:
    """What tasks are routed by.

    Raises:
        ProfileError: there is no such preset, or the file can't be used.
    """
    profile = choose_profile(
        settings.routing,
        settings.profile,
        samples=settings.tier_samples,
        strategies=settings.tier_strategies,
    )
    return profile if settings.pool is None else pooled(profile)


def task_budget(settings: Settings, task: PublicTask) -> Budget:
    """What one task may take, by the tier that its prompt puts it in."""
    router = Router(profile=make_profile(settings), n=settings.n)
    return Budget(wall_seconds=router.plan(router.route(features(task))).seconds)


def make_strategy(settings: Settings) -> Strategy[Any]:
    """The strategy that the settings describe; in a cascade, one for each model.

    Raises:
        UnknownStrategyError: there is none of that name.
        StrategyOptionError: it doesn't take one of the options.
        RewardError: the file of a learned reward can't be used.
    """
    reward = read_reward(settings.reward_model, SIGNS) if settings.reward_model else None

    profile = make_profile(settings)
    # a profile is what the adaptive search goes by, and no other
    its_edits = profile.free_edits if settings.strategy == DEFAULT_STRATEGY else 0

    def build(samples: int) -> Strategy[Any]:
        options = StrategyOptions(
            n=samples,
            temperature=settings.temperature,
            exhaustive=settings.exhaustive,
            seed=settings.seed,
            edits=settings.free_edits or its_edits,
            # what a recorded model would answer to feedback is in no bank
            repairs=not any(name.startswith("replay/") for name in settings.models),
            profile=profile,
            reward=reward,
            own=settings.strategy_options,
        )
        return create_strategy(settings.strategy, options)

    if not settings.cascade:
        return build(settings.n)
    samples = settings.cascade_samples or (settings.n,) * len(settings.cascade)
    router = Router(profile=make_profile(settings), n=settings.n)
    made = lru_cache(maxsize=None)(build)  # a stage's search is made again for each question
    return Cascade(
        stages=tuple(Stage(number, made) for number in samples),
        failures=settings.cascade_failures,
        temperature=settings.temperature,
        begin=lambda task: router.plan(router.route(features(task))).model,
        exhaustive=settings.exhaustive,
        name=f"cascade of {made(samples[0]).name}",
    )


def strategy_for(settings: Settings, task: PublicTask) -> Settings:
    """The settings with the strategy that `adaptive` comes to for a task.

    Where passing the visible tests is not yet being right, the first pass should not be the last
    word: there what programs agree on decides. Tiers that a user has set hold all the same.
    """
    other = settings.strategy != DEFAULT_STRATEGY or settings.strategy_options or settings.routed
    if other or settings.cascade or task.tests_decide or not _is_probed(task):
        return settings
    return settings.model_copy(update={"strategy": UNDECIDED_STRATEGY})


def _is_probed(task: PublicTask) -> bool:
    return task.entry_kind == "function" and task.language == "python"


def make_searcher(
    settings: Settings,
    bench: Bench,
    tiers: Sequence[Tier],
    task: PublicTask,
    *,
    journal: Journal | None,
    listener: events.Listener,
    ledger: Ledger,
    concurrency: int,
    pool: Pool | None = None,
) -> Searcher:
    """The searcher that the settings describe, for a task.

    Raises:
        UnknownStrategyError: no strategy of that name.
    """
    settings = strategy_for(settings, task)
    return Searcher(
        model=tiers[0].model,
        price=tiers[0].price,
        stronger=tuple(tiers[1:]),
        verifier=bench.verifier,
        strategy=make_strategy(settings),
        ledger=ledger,
        journal=journal,
        sampling=Sampling(
            max_tokens=settings.max_tokens,
            top_p=settings.top_p,
            seed=settings.seed,
            early_stop=settings.early_stop,
            effort=settings.effort,
            thinking=settings.thinking_tokens,
            per_call=settings.samples_per_call,
        ),
        concurrency=concurrency,
        confirm=_confirmation(settings),
        router=Router(profile=make_profile(settings), n=settings.n),
        pool=pool,
        listener=listener,
    )


def _confirmation(settings: Settings) -> Confirm:
    if not settings.confirm:
        return Confirm.NONE
    goes_on = settings.exhaustive or settings.strategy == UNDECIDED_STRATEGY
    return Confirm.CHOSEN if goes_on else Confirm.EACH


def _largest(limits: Limits, tasks: Iterable[Task]) -> Limits:
    """Limits that are enough for every task, to size the sandbox by."""
    merged = [merge_limits(limits, task.public().limits) for task in tasks] or [limits]
    return limits.model_copy(
        update={
            name: max(getattr(one, name) for one in merged)
            for name in ("memory_mb", "pids", "file_mb", "wall_seconds", "cpu_seconds")
        }
    )
