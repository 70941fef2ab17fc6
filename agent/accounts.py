"""What was spent on what: accounts by task, strategy, tier and model, and tables made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from agent.llm.base import Usage

By = Literal["task", "strategy", "tier", "model"]
"""What a table can have a row for."""


class Account(BaseModel):
    """What something is booked on.

    Attributes:
        task: the task's id.
        strategy: the search's name.
        tier: the model's place in the cascade, from 0; 0 too where there is one model only.
        model: its full name; empty for what no model was asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = ""
    strategy: str = ""
    tier: int = 0
    model: str = ""


@dataclass(slots=True)
class Spent:
    """What has been used so far.

    Attributes:
        samples: completions that came.
        tokens_in: of all prompts, cached ones included.
        tokens_out: of all answers, thinking included.
        tokens_cached: of the prompts, what servers had kept from before.
        tokens_thinking: of the answers, what was only thought.
        tokens_written: of the prompts, what servers charged for keeping.
        cost: dollars.
        model_seconds: of the calls, summed.
        sandbox_seconds: of the candidates' runs, summed.
        cut: completions that were stopped early, since they couldn't end well.
        dropped: calls that were called off or failed, and had cost something by then.
        estimated: whether some token counts are the client's estimate.
    """

    samples: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    tokens_thinking: int = 0
    tokens_written: int = 0
    cost: float = 0.0
    model_seconds: float = 0.0
    sandbox_seconds: float = 0.0
    cut: int = 0
    dropped: int = 0
    estimated: bool = False

    def use(self, usage: Usage, *, cost: float, seconds: float) -> None:
        """Adds what a call has used."""
        self.tokens_in += usage.tokens_in
        self.tokens_out += usage.tokens_out
        self.tokens_cached += usage.tokens_cached
        self.tokens_thinking += usage.tokens_thinking
        self.tokens_written += usage.tokens_written
        self.cost += cost
        self.model_seconds += seconds
        self.estimated |= usage.estimated


class Entry(Account):
    """One row of a table: what was spent on an account, or on all that share a key.

    The fields are those of `Account`, empty or 0 where they are no key of the table, and those of
    `Spent`.
    """

    samples: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    tokens_thinking: int = 0
    tokens_written: int = 0
    cost: float = 0.0
    model_seconds: float = 0.0
    sandbox_seconds: float = 0.0
    cut: int = 0
    dropped: int = 0
    estimated: bool = False


_KEYS: tuple[By, ...] = get_args(By)
_SUMS = tuple(name for name in Entry.model_fields if name not in (*_KEYS, "estimated"))


def entries(accounts: Mapping[Account, Spent]) -> tuple[Entry, ...]:
    """Each account as a row, in the order in which they were first booked on."""
    return tuple(
        Entry(
            **account.model_dump(),
            **{name: getattr(spent, name) for name in (*_SUMS, "estimated")},
        )
        for account, spent in accounts.items()
    )


def table(rows: Iterable[Entry], by: Sequence[By]) -> tuple[Entry, ...]:
    """Adds up the rows that share the keys, in the order of the first of each.

    Args:
        rows: such as `entries` gives.
        by: the keys; none gives one row with the sum of all.

    Raises:
        ValueError: a key that no row has.
    """
    unknown = sorted(set(by) - set(_KEYS))
    if unknown:
        raise ValueError(f"no table by {unknown[0]!r}: give some of {', '.join(_KEYS)}")
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, key) for key in by), []).append(row)
    return tuple(
        Entry(
            **{key: getattr(group[0], key) for key in by},
            **{name: sum(getattr(row, name) for row in group) for name in _SUMS},
            estimated=any(row.estimated for row in group),
        )
        for group in groups.values()
    )
