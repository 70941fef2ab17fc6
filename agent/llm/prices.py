"""What a completion costs, so that a limit on money can be kept.

No prices of paid models are built in: they change without notice, and a stale one would break a
promise about money. Users state theirs under `[tool.regreen.prices]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.llm.base import ModelConfigError, Usage

_MILLION = 1_000_000
_FREE_PROVIDERS = ("local/", "replay/")
_TEMPLATE_TOKENS = 64
"""Allowance for what a chat template adds around a few messages."""


class Price(BaseModel):
    """Dollars for a million tokens.

    Attributes:
        input: price of the prompt.
        output: price of the answer, thinking included.
        cached: price of prompt tokens that the server had cached; `input` if not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)


FREE = Price(input=0.0, output=0.0)


def price_of(
    model_name: str, overrides: Mapping[str, Price | Mapping[str, float]] | None = None
) -> Price | None:
    """The price of a model by its full name; None where none is known.

    Args:
        model_name: such as `openai/gpt-x`.
        overrides: prices by full name, or by a prefix that ends in `*`; the longest match wins.

    Raises:
        ModelConfigError: the matching entry is no price.
    """
    matches = [
        key
        for key in overrides or {}
        if key == model_name or (key.endswith("*") and model_name.startswith(key[:-1]))
    ]
    if overrides and matches:
        key = max(matches, key=lambda k: (k == model_name, len(k)))
        try:
            return Price.model_validate(overrides[key])
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ModelConfigError(
                f"price of {key!r}: {where}: {first['msg']}; write"
                f' "{key}" = {{ input = 1.0, output = 4.0 }} in dollars per million tokens'
            ) from None
    return FREE if model_name.startswith(_FREE_PROVIDERS) else None


def require_price(
    model_name: str, overrides: Mapping[str, Price | Mapping[str, float]] | None = None
) -> Price:
    """The price of a model, for a run that must keep a limit on money.

    Raises:
        ModelConfigError: no price is known, or the entry is no price.
    """
    price = price_of(model_name, overrides)
    if price is None:
        raise ModelConfigError(
            f"no price known for {model_name}: add it under [tool.regreen.prices], e.g."
            f' "{model_name}" = {{ input = 1.0, output = 4.0 }} (dollars per million tokens)'
        )
    return price


def cost(usage: Usage, price: Price) -> float:
    """Dollars for one completion; `tokens_out` includes thinking, `tokens_in` the cached ones."""
    cached = min(usage.tokens_cached, usage.tokens_in)
    cached_price = price.input if price.cached is None else price.cached
    total = (
        (usage.tokens_in - cached) * price.input
        + cached * cached_price
        + usage.tokens_out * price.output
    )
    return total / _MILLION


def upper_bound(prompt_chars: int, max_tokens: int, price: Price) -> float:
    """Dollars that one completion can cost at most, before it is asked for.

    A token is taken to be a single character, which holds for ASCII whatever the vocabulary;
    the answer is taken to use all of `max_tokens`. Tries that break off come on top.
    """
    return ((prompt_chars + _TEMPLATE_TOKENS) * price.input + max_tokens * price.output) / _MILLION
