"""Prices, costs and shares of a bill."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.llm.base import ModelConfigError, Usage
from agent.llm.prices import Price, cost, price_of, require_price, upper_bound
from agent.llm.usage import add_usage, estimate_tokens, share_usage

COUNTS = st.integers(0, 10**6)
USAGES = st.builds(
    Usage,
    tokens_in=COUNTS,
    tokens_out=COUNTS,
    tokens_cached=COUNTS,
    tokens_thinking=COUNTS,
    estimated=st.booleans(),
)


def test_local_and_replayed_models_are_free() -> None:
    for name in ("local/smollm2-135m", "replay/bank.jsonl"):
        price = require_price(name)
        assert cost(Usage(tokens_in=1000, tokens_out=1000), price) == 0


def test_a_paid_model_without_a_price_is_refused() -> None:
    assert price_of("openai/gpt-x") is None
    with pytest.raises(ModelConfigError, match=r"no price known for openai/gpt-x.*regreen\.prices"):
        require_price("openai/gpt-x")


def test_the_longest_matching_entry_wins() -> None:
    entries: dict[str, Price | dict[str, float]] = {
        "openai/*": {"input": 1.0, "output": 1.0},
        "openai/gpt*": Price(input=2, output=2),
        "openai/gpt-x": {"input": 3.0, "output": 3.0},
    }
    names = ["openai/a", "openai/gpt-y", "openai/gpt-x"]
    assert [require_price(name, entries).input for name in names] == [1, 2, 3]


@pytest.mark.parametrize(
    "entry",
    [{"input": 1.0}, {"input": -1.0, "output": 1.0}, {"input": "x", "output": 1}, {"in": 1}],
)
def test_an_entry_that_is_no_price(entry: Any) -> None:
    with pytest.raises(ModelConfigError, match="dollars per million tokens"):
        price_of("openai/gpt-x", {"openai/gpt-x": entry})


def test_cost_by_hand() -> None:
    price = Price(input=2, output=10, cached=0.5)
    usage = Usage(tokens_in=1_000_000, tokens_cached=400_000, tokens_out=100_000)
    assert cost(usage, price) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    assert cost(usage, Price(input=2, output=10)) == pytest.approx(3)


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=2000), st.integers(1, 5000))
def test_the_upper_bound_is_above_any_bill_for_ascii(prompt: str, max_tokens: int) -> None:
    price = Price(input=3, output=15, cached=0.3)
    worst = Usage(tokens_in=len(prompt), tokens_out=max_tokens)
    assert upper_bound(len(prompt), max_tokens, price) >= cost(worst, price)


@given(USAGES, st.lists(st.integers(0, 10**5), min_size=1, max_size=12))
def test_shares_sum_to_the_bill(total: Usage, chars: list[int]) -> None:
    shares = share_usage(total, chars)
    assert len(shares) == len(chars)
    whole = shares[0]
    for share in shares[1:]:
        whole = add_usage(whole, share)
    assert whole == total


def test_estimates_round_up() -> None:
    assert [estimate_tokens(n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


@given(USAGES)
def test_each_token_is_paid_once(usage: Usage) -> None:
    one = Price(input=1, output=1, cached=1, written=1, thinking=1)
    assert cost(usage, one) == pytest.approx((usage.tokens_in + usage.tokens_out) / 1e6)
    assert cost(usage, one) == pytest.approx(cost(usage, Price(input=1, output=1)))


def test_kept_written_and_thought_tokens_have_prices_of_their_own() -> None:
    price = Price(input=2, output=10, cached=0.5, written=3, thinking=4)
    usage = Usage(
        tokens_in=1_000_000,
        tokens_cached=400_000,
        tokens_written=100_000,
        tokens_out=100_000,
        tokens_thinking=60_000,
    )
    expected = 0.5 * 2 + 0.4 * 0.5 + 0.1 * 3 + 0.04 * 10 + 0.06 * 4
    assert cost(usage, price) == pytest.approx(expected)


@given(
    chars=st.integers(0, 5000),
    tokens=st.integers(0, 5000),
    numbers=st.lists(st.floats(0, 100), min_size=5, max_size=5),
    shares=st.lists(st.floats(0, 1), min_size=5, max_size=5),
)
def test_no_call_within_its_sizes_costs_more_than_the_bound(
    chars: int, tokens: int, numbers: list[float], shares: list[float]
) -> None:
    into, out, cached, written, thinking = numbers
    price = Price(input=into, output=out, cached=cached, written=written, thinking=thinking)
    read, said = int(chars * shares[0]), int(tokens * shares[1])
    usage = Usage(
        tokens_in=read,
        tokens_out=said,
        tokens_cached=int(read * shares[2]),
        tokens_written=int(read * shares[3]),
        tokens_thinking=int(said * shares[4]),
    )
    assert cost(usage, price) <= upper_bound(chars, tokens, price) + 1e-12
