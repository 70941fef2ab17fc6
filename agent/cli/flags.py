"""Gives a command the flags of settings, and the settings that come of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from agent.cli import options
from agent.cli.recording import check_words
from agent.settings import load_settings

SANDBOX_FLAGS: Mapping[str, Any] = {
    "seed": options.Seed,
    "sandbox": options.Sandbox,
    "isolation": options.IsolationLevel,
    "slots": options.Slots,
    "image": options.Image,
    "runtime": options.Runtime,
    "allow_reduced_isolation": options.AllowReduced,
    "allow_in_process": options.AllowInProcess,
    "confirm": options.Confirm,
    "confirm_sandbox": options.ConfirmSandbox,
    "confirm_runtime": options.ConfirmRuntime,
    "cpu_seconds": options.CpuSeconds,
    "wall_seconds": options.WallSeconds,
    "memory_mb": options.MemoryMb,
    "pids": options.Pids,
    "output_bytes": options.OutputBytes,
    "file_mb": options.FileMb,
    "cache": options.Cache,
}
"""Settings of commands that run programs, with the option of each."""

SEARCH_FLAGS: Mapping[str, Any] = {
    "model": options.Model,
    "cascade": options.Cascade,
    "cascade_samples": options.CascadeSamples,
    "cascade_failures": options.CascadeFailures,
    "base_url": options.BaseUrl,
    "temperature": options.Temperature,
    "top_p": options.TopP,
    "max_tokens": options.MaxTokens,
    "effort": options.EffortWord,
    "thinking_tokens": options.ThinkingTokens,
    "early_stop": options.EarlyStop,
    "samples_per_call": options.SamplesPerCall,
    "model_timeout": options.ModelTimeout,
    "strategy": options.Strategy,
    "strategy_options": options.StrategyOption,
    "free_edits": options.FreeEdits,
    "routing": options.Routing,
    "profile": options.RoutingProfile,
    "reward_model": options.RewardFile,
    "tier_samples": options.TierSamples,
    "tier_strategies": options.TierStrategies,
    "n": options.Samples,
    "exhaustive": options.Exhaustive,
    "concurrency": options.Concurrency,
    "budget_samples": options.BudgetSamples,
    "budget_tokens": options.BudgetTokens,
    "max_cost": options.MaxCost,
    "max_seconds": options.MaxSeconds,
    "max_sandbox_seconds": options.MaxSandboxSeconds,
    "runs": options.Runs,
    **SANDBOX_FLAGS,
}
"""Settings of commands that search, with the option of each."""


_NOT_TO_CALIBRATE = {
    "cascade",
    "cascade_samples",
    "cascade_failures",
    "strategy",
    "strategy_options",
    "routing",
    "profile",
    "reward_model",
    "tier_samples",
    "tier_strategies",
    "exhaustive",
    "confirm",
    "confirm_sandbox",
    "confirm_runtime",
}
CALIBRATE_FLAGS: Mapping[str, Any] = {
    name: option for name, option in SEARCH_FLAGS.items() if name not in _NOT_TO_CALIBRATE
}
"""Settings of samples that are all drawn in the same way."""


def with_settings(flags: Mapping[str, Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Makes a command that takes `settings` one that takes the flags instead.

    Args:
        flags: setting to annotated option; each may be left out, and a lower source decides then.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def called(**words: Any) -> int:
            given = {name: words.pop(name) for name in flags}
            # an option that may be repeated and was not given comes as an empty list
            given = {name: value for name, value in given.items() if value != []}
            settings = load_settings(given)
            check_words(settings)
            return command(settings=settings, **words)

        own = inspect.signature(command, eval_str=True).parameters
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [one.replace(kind=keyword) for one in own.values() if one.name != "settings"]
        parameters += [
            inspect.Parameter(name, keyword, default=None, annotation=option)
            for name, option in flags.items()
        ]
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        return called

    return decorate
