"""Token arithmetic that all models share: estimates, sums, and shares of one bill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from agent.llm.base import Message, Usage

CHARS_PER_TOKEN = 4
"""English and code average near four characters a token with today's vocabularies."""


def estimate_tokens(chars: int) -> int:
    """Tokens in a text of so many characters; at least one if there is any text."""
    return -(-chars // CHARS_PER_TOKEN)


def message_chars(messages: Iterable[Message]) -> int:
    """Characters of a chat, without the few that a chat template adds."""
    return sum(len(message.content) for message in messages)


def estimate_usage(chars_in: int, chars_out: int) -> Usage:
    """Usage from text lengths, marked as estimated."""
    return Usage(
        tokens_in=estimate_tokens(chars_in), tokens_out=estimate_tokens(chars_out), estimated=True
    )


def add_usage(first: Usage, second: Usage) -> Usage:
    """The sum; estimated as soon as one part that counts is."""
    return Usage(
        tokens_in=first.tokens_in + second.tokens_in,
        tokens_out=first.tokens_out + second.tokens_out,
        tokens_cached=first.tokens_cached + second.tokens_cached,
        tokens_thinking=first.tokens_thinking + second.tokens_thinking,
        tokens_written=first.tokens_written + second.tokens_written,
        estimated=first.estimated or second.estimated,
    )


def share_usage(total: Usage, chars_out: Sequence[int]) -> list[Usage]:
    """Splits one bill over the answers of one call, so that the parts sum to the bill.

    A server that answers `n` times reads the prompt once and reports one total: the input goes
    to the first answer, the output to each by its length.
    """
    if len(chars_out) == 1:
        return [total]
    out = _shares(total.tokens_out, chars_out)
    thinking = _shares(total.tokens_thinking, chars_out)
    return [
        Usage(
            tokens_in=total.tokens_in if i == 0 else 0,
            tokens_out=out[i],
            tokens_cached=total.tokens_cached if i == 0 else 0,
            tokens_thinking=thinking[i],
            tokens_written=total.tokens_written if i == 0 else 0,
            estimated=total.estimated,
        )
        for i in range(len(chars_out))
    ]


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """Whole shares in proportion to the weights, by cumulative rounding."""
    whole = sum(weights) or len(weights)
    heavy = weights if sum(weights) else [1] * len(weights)
    cuts = [0]
    for weight in heavy:
        cuts.append(cuts[-1] + weight)
    return [total * b // whole - total * a // whole for a, b in pairwise(cuts)]
