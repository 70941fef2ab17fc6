"""What a run may spend, and what it has spent on what.

A call's upper bound is reserved before the call, so the budget holds however many calls are under
way; what was really used replaces the reservation afterwards. A ledger may have a parent: what is
spent on a task is spent on the run as well.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import anyio
from pydantic import BaseModel, ConfigDict, Field

from agent.accounts import Account, Entry, Spent, entries
from agent.llm.base import Usage

_ROUNDING = 1e-12
"""Dollars that sums of prices may be off by."""


class BudgetExhaustedError(Exception):
    """The next call could cost more than is left. The message says of what."""


class BudgetHeldError(BudgetExhaustedError):
    """It could fit: calls under way hold more than they may turn out to need."""


class Budget(BaseModel):
    """Upper limits; `None` is no limit.

    Attributes:
        samples: completions asked for.
        tokens: tokens in and out together.
        cost: dollars.
        wall_seconds: from the start of the run.
        sandbox_seconds: wall time of candidates' runs, summed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    cost: float | None = Field(default=None, ge=0)
    wall_seconds: float | None = Field(default=None, gt=0)
    sandbox_seconds: float | None = Field(default=None, gt=0)


@dataclass(frozen=True, slots=True)
class Reservation:
    """The upper bound of one call under way, and how many samples it is to bring."""

    tokens: int
    cost: float
    samples: int = 1


@dataclass(slots=True)
class Ledger:
    """Books what is spent against a budget.

    Args:
        budget: the limits.
        parent: a wider ledger in which everything is booked as well.
        spent: on everything.
        accounts: the same, on what.
    """

    budget: Budget
    parent: Ledger | None = None
    spent: Spent = field(default_factory=Spent)
    accounts: dict[Account, Spent] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _reserved: list[Reservation] = field(default_factory=list)
    _freed: anyio.Event | None = None

    def reserve(self, *, tokens: int, cost: float, samples: int = 1) -> Reservation:
        """Sets aside a call's upper bound.

        Args:
            tokens: in and out.
            cost: dollars.
            samples: that it is to bring.

        Raises:
            BudgetHeldError: it would fit if it weren't for the calls under way; see `freed`.
            BudgetExhaustedError: it doesn't fit into what is left.
        """
        self.check(tokens=tokens, cost=cost, samples=samples)
        made = Reservation(tokens, cost, samples)
        for ledger in self._chain():
            ledger._reserved.append(made)
        return made

    def check(self, *, tokens: int = 0, cost: float = 0.0, samples: int = 1) -> None:
        """Whether one more call of that size fits.

        Raises:
            BudgetExhaustedError: it doesn't.
        """
        for ledger in self._chain():
            ledger._check_own(tokens, cost, samples)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was spent on what; see `agent.accounts.table`."""
        return entries(self.accounts)

    @property
    def wall_seconds(self) -> float:
        """Since the ledger was opened."""
        return time.monotonic() - self.started

    def check_time(self) -> None:
        """Whether there is time left for work that asks no model.

        Raises:
            BudgetExhaustedError: there is none, on the wall or in the sandbox.
        """
        for ledger in self._chain():
            ledger._check_own_time()

    def settle(
        self,
        reservation: Reservation | None,
        usage: Usage,
        *,
        cost: float,
        seconds: float,
        on: Account | None = None,
        cut: bool = False,
    ) -> None:
        """Books what a completion really used, in place of its reservation.

        Args:
            reservation: of the call; `None` if it was given back with another of its completions.
            usage: its tokens.
            cost: its dollars.
            seconds: that it took.
            on: what it was for.
            cut: whether it was stopped early.
        """
        for ledger in self._chain():
            if reservation is not None:
                ledger._reserved.remove(reservation)
            for spent in ledger._booked(on):
                spent.samples += 1
                spent.cut += cut
                spent.use(usage, cost=cost, seconds=seconds)
        self._wake()

    def lose(
        self,
        reservation: Reservation | None,
        usage: Usage,
        *,
        cost: float,
        seconds: float,
        on: Account | None = None,
    ) -> None:
        """Books what a call used from which no completion came: called off, or failed.

        Without a reservation it was a call of an earlier start.
        """
        for ledger in self._chain():
            if reservation is not None:
                ledger._reserved.remove(reservation)
            for spent in ledger._booked(on):
                spent.dropped += 1
                spent.use(usage, cost=cost, seconds=seconds)
        self._wake()

    def _booked(self, on: Account | None) -> tuple[Spent, Spent]:
        """Where something is added to: the sum, and its account."""
        return self.spent, self.accounts.setdefault(on or Account(), Spent())

    def release(self, reservation: Reservation) -> None:
        """Gives a reservation back for a call that never cost anything."""
        for ledger in self._chain():
            ledger._reserved.remove(reservation)
        self._wake()

    async def freed(self) -> None:
        """Waits until a call under way has ended, here or under the same parent."""
        widest = self._chain()[-1]
        if widest._freed is None:
            widest._freed = anyio.Event()
        await widest._freed.wait()

    def _wake(self) -> None:
        widest = self._chain()[-1]
        if widest._freed is not None:
            widest._freed.set()
            widest._freed = None

    def ran(self, seconds: float, *, on: Account | None = None) -> None:
        """Books a candidate's run."""
        for ledger in self._chain():
            for spent in ledger._booked(on):
                spent.sandbox_seconds += seconds

    def _chain(self) -> list[Ledger]:
        return [self, *(self.parent._chain() if self.parent is not None else ())]

    def _check_own_time(self) -> None:
        limit, spent = self.budget, self.spent
        if limit.wall_seconds is not None and time.monotonic() - self.started > limit.wall_seconds:
            raise BudgetExhaustedError(f"{limit.wall_seconds:g} s of wall time are over")
        if limit.sandbox_seconds is not None and spent.sandbox_seconds > limit.sandbox_seconds:
            raise BudgetExhaustedError(f"{limit.sandbox_seconds:g} s of sandbox time are used up")

    def _check_own(self, tokens: int, cost: float, samples: int) -> None:
        self._check_own_time()
        limit, spent = self.budget, self.spent
        if limit.samples is not None:
            left = limit.samples - spent.samples
            held = sum(one.samples for one in self._reserved)
            _fit(samples, left, held, f"the budget of {limit.samples} samples is used up")
        if limit.tokens is not None:
            left = limit.tokens - spent.tokens_in - spent.tokens_out
            message = (
                f"{left} of {limit.tokens} tokens are left, and the next call may take {tokens}"
            )
            _fit(tokens, left, sum(held.tokens for held in self._reserved), message)
        if limit.cost is not None:
            rest = limit.cost - spent.cost
            message = (
                f"${rest:.4f} of ${limit.cost:g} are left, and the next call may cost ${cost:.4f}"
            )
            _fit(cost, rest + _ROUNDING, sum(held.cost for held in self._reserved), message)


def _fit(wanted: float, left: float, held: float, message: str) -> None:
    if wanted > left:
        raise BudgetExhaustedError(message)
    if wanted > left - held:
        raise BudgetHeldError(message)
