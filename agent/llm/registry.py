"""Turns a model's name into a model, importing only the provider that the name asks for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import cast

from pydantic import SecretStr

from agent.llm.base import Model, ModelConfigError
from agent.llm.retry import RetryPolicy

ENTRY_POINT_GROUP = "regreen.models"
Progress = Callable[[int, int | None], None]

_BUILT_IN = {
    "anthropic": "agent.llm.anthropic:build",
    "local": "agent.llm.local:build",
    "openai": "agent.llm.openai:build",
    "replay": "agent.llm.replay:build",
}
_EXAMPLES = "openai/MODEL, anthropic/MODEL, local/smollm2-135m, replay/FILE.jsonl.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What a provider may need besides the name; each takes what concerns it.

    Attributes:
        base_url: address of the server; providers without one ignore it.
        api_key: the key; None means the provider's environment variable.
        timeout_seconds: longest time for one answer; what arrived by then is kept.
        retry: how often and how patiently to ask again.
        shuffle_seed: replay only; None keeps the recorded order.
        prompts: replay only; prompts by task id, to estimate the tokens of rows without one.
        progress: told bytes done and bytes in all (or None) while weights are fetched.
    """

    base_url: str | None = None
    api_key: SecretStr | None = None
    timeout_seconds: float = 300.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    shuffle_seed: int | None = None
    prompts: Mapping[str, str] | None = None
    progress: Progress | None = None


Builder = Callable[[str, ModelOptions], Model]
"""A provider's entry: the name without the provider, and the options."""


def create_model(
    name: str,
    *,
    base_url: str | None = None,
    api_key: SecretStr | None = None,
    timeout_seconds: float = 300.0,
    retry: RetryPolicy | None = None,
    shuffle_seed: int | None = None,
    prompts: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Model:
    """Makes a model; nothing is connected, started or fetched before it is first asked.

    Args:
        name: `PROVIDER/NAME`, such as `openai/gpt-x`, `local/smollm2-135m`, `replay/bank.jsonl`.
        base_url: see `ModelOptions`, as for all that follow.
        api_key: never logged, and never part of a message.
        timeout_seconds: seconds for one answer.
        retry: the retry policy, or None for the default.
        shuffle_seed: order of a replayed bank.
        prompts: prompts by task id.
        progress: called while weights are fetched.

    Raises:
        ModelConfigError: unknown name, missing key, package or file.
    """
    provider, slash, rest = name.partition("/")
    if not slash or not provider or not rest:
        known = ", ".join(known_providers())
        raise ModelConfigError(
            f"unknown model {name!r}: write PROVIDER/NAME with a provider out of {known};"
            f" for example {_EXAMPLES}"
        )
    if not timeout_seconds > 0:
        raise ModelConfigError(f"timeout_seconds is {timeout_seconds}: give a number above 0")
    options = ModelOptions(
        base_url=base_url,
        api_key=api_key,
        timeout_seconds=timeout_seconds,
        retry=retry or RetryPolicy(),
        shuffle_seed=shuffle_seed,
        prompts=prompts,
        progress=progress,
    )
    return _builder(provider, name)(rest, options)


def known_providers() -> list[str]:
    """Names of all providers, ours and those of installed packages, sorted."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def _builder(provider: str, name: str) -> Builder:
    if provider in _BUILT_IN:
        module, _, attribute = _BUILT_IN[provider].partition(":")
        return cast(Builder, getattr(importlib.import_module(module), attribute))
    for point in entry_points(group=ENTRY_POINT_GROUP, name=provider):
        try:
            return cast(Builder, point.load())
        except Exception as error:  # another package's import may fail in any way
            raise ModelConfigError(
                f"model {name!r}: the provider {provider!r} ({point.value}) can't be loaded:"
                f" {error}"
            ) from error
    known = ", ".join(known_providers())
    raise ModelConfigError(
        f"unknown model {name!r}: no provider is called {provider!r}; known are {known};"
        f" for example {_EXAMPLES}"
    )
