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
from agent.routing.features import features
from agent.routing.pool import Pool
from agent.routing.presets import choose_profile, pooled
from agent.routing.profile import Profile
from agent.routing.router import Router
from agent.search.base import Strategy, StrategyOptions
from agent.search.cascade import Cascade, Stage
from agent.search.registry import create_strategy
from agent.settings import Settings
from agent.tiers import Tier
from sandbox.base import Sandbox
from sandbox.jobs import Limits
from sandbox.registry import SandboxOptions, choose_sandbox
from tasks.model import PublicTask, Task
from verifiers.cache import VerdictCache, default_cache_path
from verifiers.verifier import Verifier, merge_limits


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


def strategy_name(settings: Settings, _task: PublicTask | None) -> str:
    """The strategy for a task: the one place where a task can be given another than the settings'.

    Args:
        settings: in force.
        _task: as the search sees it; `None` where only the settings are checked.
    """
    return settings.strategy


def task_budget(settings: Settings, task: PublicTask) -> Budget:
    """What one task may take, by the tier that its prompt puts it in."""
    router = Router(profile=make_profile(settings), n=settings.n)
    return Budget(wall_seconds=router.plan(router.route(features(task))).seconds)


def make_strategy(settings: Settings, task: PublicTask | None = None) -> Strategy[Any]:
    """The strategy that the settings describe; in a cascade, one for each model.

    Args:
        settings: in force.
        task: that it is for; without one, the settings are checked.

    Raises:
        UnknownStrategyError: there is none of that name.
        StrategyOptionError: it doesn't take one of the options.
    """

    def build(samples: int) -> Strategy[Any]:
        options = StrategyOptions(
            n=samples,
            temperature=settings.temperature,
            exhaustive=settings.exhaustive,
            seed=settings.seed,
            edits=settings.free_edits,
            # what a recorded model would answer to feedback is in no bank
            repairs=not any(name.startswith("replay/") for name in settings.models),
            profile=make_profile(settings),
            own=settings.strategy_options,
        )
        return create_strategy(strategy_name(settings, task), options)

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


def make_searcher(
    settings: Settings,
    bench: Bench,
    tiers: Sequence[Tier],
    *,
    journal: Journal | None,
    listener: events.Listener,
    ledger: Ledger,
    concurrency: int,
    task: PublicTask | None = None,
    pool: Pool | None = None,
) -> Searcher:
    """The searcher that the settings describe.

    Raises:
        UnknownStrategyError: no strategy of that name.
    """
    return Searcher(
        model=tiers[0].model,
        price=tiers[0].price,
        stronger=tuple(tiers[1:]),
        verifier=bench.verifier,
        strategy=make_strategy(settings, task),
        ledger=ledger,
        journal=journal,
        sampling=Sampling(
            max_tokens=settings.max_tokens,
            top_p=settings.top_p,
            seed=settings.seed,
            early_stop=settings.early_stop,
            effort=settings.effort,
            thinking=settings.thinking_tokens,
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
    return Confirm.CHOSEN if settings.exhaustive else Confirm.EACH


def _largest(limits: Limits, tasks: Iterable[Task]) -> Limits:
    """Limits that are enough for every task, to size the sandbox by."""
    merged = [merge_limits(limits, task.public().limits) for task in tasks] or [limits]
    return limits.model_copy(
        update={
            name: max(getattr(one, name) for one in merged)
            for name in ("memory_mb", "pids", "file_mb", "wall_seconds", "cpu_seconds")
        }
    )
