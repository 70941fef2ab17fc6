"""Asks peers to judge candidates, round after round, and notes what they needed and said."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.peers import Peer, PeerError, Round
from bench.programs import SEED, Candidate
from bench.results import Asked, Results, SetResults, disagreements

OURS = ("docker", "local")
ALONE = (*OURS, "fork")
UNPROTECTED = "it runs a model's programs unprotected, as you; --unsandboxed allows it"


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every round.

    Attributes:
        repeats: how often.
        full: whether peers get all candidates that would otherwise get a sample.
        most: in place of a peer's own `most`, if that is higher; 0 for no such limit.
        report: called with a line whenever something begins.
    """

    repeats: int
    full: bool
    most: int
    report: Callable[[str], None]


class Rounds:
    """The rounds over one set of candidates.

    Args:
        name: what the set is called.
        candidates: what to judge.
        known_right: whether every candidate has to pass.
        peers: who is asked, in order.
        results: where the findings go.
        rules: see `Rules`.
    """

    def __init__(
        self,
        name: str,
        candidates: Sequence[Candidate],
        *,
        known_right: bool,
        peers: Sequence[Peer],
        results: Results,
        rules: Rules,
    ) -> None:
        self._name = name
        self._candidates = candidates
        self._peers = list(peers)
        self._results = results
        self._set = results.sets.setdefault(name, SetResults(len(candidates)))
        self._known_right = known_right
        self._rules = rules
        self._verdicts: dict[str, dict[int, bool]] = {}

    def throughput(self, workers: int) -> None:
        """Every peer over its candidates, repeatedly; then what the verdicts say."""
        peers = [peer for peer in self._peers if peer.name != "fork"]
        for peer, found, numbers in self._rounds("throughput", peers, workers):
            asked = Asked(found.seconds, found.start_seconds, tuple(numbers), found.latencies)
            self._set.asked.setdefault(peer.name, []).append(asked)
            if found.unexecuted:
                self._set.unexecuted[peer.name] = found.unexecuted
        if not self._known_right:
            ids = [candidate.task.id for candidate in self._candidates]
            self._set.compared, self._set.disagreements = disagreements(ids, self._verdicts)

    def alone(self) -> None:
        """One candidate at a time, beside a bare fork."""
        peers = [peer for peer in self._peers if peer.name in ALONE]
        for peer, found, _ in self._rounds("one at a time", peers, 1):
            self._results.latencies.setdefault(peer.name, []).append(found.latencies)

    def slots(self, counts: Sequence[int]) -> None:
        """Regreen's own with so many slots each."""
        peers = [peer for peer in self._peers if peer.name in OURS]
        for count in counts:
            for peer, found, numbers in self._rounds(f"{count} slots", peers, count):
                rates = self._results.by_slots.setdefault(peer.name, {})
                rates.setdefault(count, []).append(len(numbers) / found.seconds)

    def _rounds(
        self, what: str, peers: Sequence[Peer], workers: int
    ) -> list[tuple[Peer, Round, list[int]]]:
        done: list[tuple[Peer, Round, list[int]]] = []
        repeats, failed = self._rules.repeats, self._set.skipped
        for repeat in range(repeats):
            turn = repeat % max(1, len(peers))
            for peer in [*peers[turn:], *peers[:turn]]:
                if peer.name in failed:
                    continue
                numbers = self._numbers(peer)
                of = f"{len(numbers)} of {self._name}"
                self._rules.report(f"{what}: {peer.label}, {of}, {repeat + 1} of {repeats}")
                try:
                    found = peer.run([self._candidates[number] for number in numbers], workers)
                except PeerError as error:
                    failed[peer.name] = f"it failed: {error}"
                    continue
                self._check(peer, found, numbers)
                done.append((peer, found, numbers))
        # one that failed half-way has no figures that could be compared
        return [entry for entry in done if entry[0].name not in failed]

    def _numbers(self, peer: Peer) -> list[int]:
        everything = range(len(self._candidates))
        most = min((n for n in (peer.most, peer.most and self._rules.most) if n), default=0)
        if self._rules.full or not most or len(everything) <= most:
            return list(everything)
        return sorted(random.Random(SEED).sample(everything, most))

    def _check(self, peer: Peer, found: Round, numbers: Sequence[int]) -> None:
        known = self._verdicts.setdefault(peer.name, {})
        for number, passed in zip(numbers, found.passed, strict=True):
            known.setdefault(number, passed)
            if self._known_right and not passed:
                wrong = self._set.wrong.setdefault(peer.name, [])
                task = self._candidates[number].task.id
                if task not in wrong:
                    wrong.append(task)


def available(peers: Sequence[Peer], wanted: Sequence[str], skipped: dict[str, str]) -> list[Peer]:
    """The peers that can be asked; why the others can't is noted in `skipped`."""
    found: list[Peer] = []
    for peer in peers:
        if wanted and peer.name not in wanted:
            continue
        if reason := peer.missing():
            skipped[peer.name] = reason
        else:
            found.append(peer)
    return found


def for_strangers(peers: Sequence[Peer], skipped: dict[str, str]) -> list[Peer]:
    """The peers that may be given a model's programs; the others are noted in `skipped`."""
    skipped.update({peer.name: UNPROTECTED for peer in peers if not peer.protected})
    return [peer for peer in peers if peer.protected]
