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
        output: price of the answer.
        cached: price of prompt tokens that the server had cached; `input` if not given.
        written: price of prompt tokens that the server puts into its cache; `input` if not given.
        thinking: price of what was only thought; `output` if not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    written: float | None = Field(default=None, ge=0)
    thinking: float | None = Field(default=None, ge=0)


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
    """Dollars for one completion; each token is paid once, at the price of what it was."""
    cached = min(usage.tokens_cached, usage.tokens_in)
    written = min(usage.tokens_written, usage.tokens_in - cached)
    thinking = min(usage.tokens_thinking, usage.tokens_out)
    total = (
        (usage.tokens_in - cached - written) * price.input
        + cached * _or(price.cached, price.input)
        + written * _or(price.written, price.input)
        + (usage.tokens_out - thinking) * price.output
        + thinking * _or(price.thinking, price.output)
    )
    return total / _MILLION


def upper_bound(prompt_chars: int, max_tokens: int, price: Price) -> float:
    """Dollars that one completion can cost at most, before it is asked for.

    A token is taken to be a single character, which holds for ASCII whatever the vocabulary;
    the answer is taken to use all of `max_tokens`, thinking included. Tries that break off come
    on top.
    """
    dearest_in = max(price.input, _or(price.cached, 0.0), _or(price.written, 0.0))
    dearest_out = max(price.output, _or(price.thinking, 0.0))
    total = (prompt_chars + _TEMPLATE_TOKENS) * dearest_in + max_tokens * dearest_out
    return total / _MILLION


def _or(price: float | None, otherwise: float) -> float:
    return otherwise if price is None else price
