"""A budget that all tasks of a suite share: who may draw next is decided sample by sample.

The task whose next sample is likeliest to pass goes first. That chance falls with every failure, so
a hopeless task is left alone after a while, and is come back to when the others have become no
better. Where the chance only falls, always taking the highest is the best that can be done (Gittins
and Jones, "A Dynamic Allocation Index for the Sequential Design of Experiments", 1974: for
deteriorating arms the index is the next reward). A task whose chance falls below a floor is given
up for good.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import anyio

_RECORDED = 2.0
"""Above any chance: what is in the journal already is taken from it first."""


class PoolSpentError(Exception):
    """There is nothing more to be had from the pool. The message says why."""


@dataclass(slots=True, kw_only=True)
class Pool:
    """Deals out samples.

    Searches ask for one at a time with `take`. A sample is given out only when fewer than
    `at_a_time` are under way, to the best of those that wait; with 1 at a time all others wait by
    then, so that the order depends on the samples alone.

    Args:
        samples: of all tasks together; those that a resumed run takes from its journal count too.
        tasks: that will take part. Until all of them have asked or left, some count as under way.
        at_a_time: samples under way at the most.
        floor: chance of the next sample below which a task is given up.
    """

    samples: int
    tasks: int
    at_a_time: int = 1
    floor: float = 0.0
    given: int = 0
    _waiting: list[tuple[float, int, anyio.Event]] = field(default_factory=list)
    _left: int = 0
    _arrived: int = 0
    _refused: set[int] = field(default_factory=set)

    async def take(self, chance: float, *, recorded: bool = False) -> None:
        """Waits until the caller may draw one sample.

        Args:
            chance: that its next sample passes.
            recorded: whether that sample stands in the journal.

        Raises:
            PoolSpentError: the pool is empty, or the task is given up.
        """
        if chance < self.floor and not recorded:
            raise PoolSpentError(f"given up: the next sample passes in {chance:.2%} only")
        self._arrived += 1
        number, turn = self._arrived, anyio.Event()
        heapq.heappush(self._waiting, (-(_RECORDED if recorded else chance), number, turn))
        self._deal()
        try:
            await turn.wait()
        except BaseException:
            still = [one for one in self._waiting if one[1] != number]
            if len(still) == len(self._waiting) and number not in self._refused:
                self.given -= 1  # it was dealt out and won't be drawn
            self._waiting = still
            heapq.heapify(self._waiting)
            raise
        if number in self._refused:
            raise PoolSpentError(f"the pool of {self.samples} samples is spent")

    def leave(self) -> None:
        """A task is over."""
        self._left += 1
        self._deal()

    def _deal(self) -> None:
        """Wakes whoever may draw; when nothing is left, all that wait."""
        while self._waiting:
            under_way = self.tasks - self._left - len(self._waiting)
            spent = self.given >= self.samples
            # one that is under way may still be called off and give its sample back
            if under_way >= (1 if spent else self.at_a_time):
                return
            _, number, turn = heapq.heappop(self._waiting)
            if spent:
                self._refused.add(number)
            else:
                self.given += 1
            turn.set()
