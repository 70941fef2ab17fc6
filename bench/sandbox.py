"""How many candidates a second each sandbox judges, beside other ways to judge them.

    python bench/sandbox.py                       the canonical HumanEval solutions, all peers
    python bench/sandbox.py --quick               a part of them, once
    python bench/sandbox.py --programs bank --data FILE    real samples of a model, and agreement

Everything in one run on one machine at the same concurrency, the order of the peers rotated from
repeat to repeat. Every verdict is executed: no cache. bench/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# As a script this file lies on the path before the package whose name it has.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(part for part in sys.path if Path(part).resolve() != _HERE)]

from bench.peers import Peer, PeerError, Round, all_peers  # noqa: E402
from bench.programs import SEED, Candidate, ProgramsError, bank, canonical  # noqa: E402
from bench.results import Results, disagreements, machine  # noqa: E402

_QUICK = 24
_SAMPLE = 20
_REPEATS = 3
_BANK = 2_000
_SLOTS = "1,2,4,8"
_OURS = ("docker", "local")
_ALONE = (*_OURS, "fork")
_UNPROTECTED = "it runs a model's programs unprotected, as you; --unsandboxed allows it"


class Bench:
    """One run of the benchmark.

    Args:
        candidates: what to judge.
        peers: who is asked, in order.
        results: where the findings go.
        known_right: whether every candidate has to pass.
        repeats: how often.
        sample: how many of the candidates a slow peer gets.
        report: called with a line whenever something begins.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        peers: Sequence[Peer],
        results: Results,
        *,
        known_right: bool,
        repeats: int,
        sample: int,
        report: Callable[[str], None],
    ) -> None:
        self._candidates = candidates
        self._peers = list(peers)
        self._results = results
        self._known_right = known_right
        self._repeats = repeats
        self._sample = sample
        self._report = report
        self._verdicts: dict[str, dict[int, bool]] = {}

    def throughput(self, workers: int) -> None:
        """Every peer over its candidates, repeatedly; then what the verdicts say."""
        peers = [peer for peer in self._peers if peer.name != "fork"]
        for peer, found, numbers in self._rounds("throughput", peers, workers):
            self._results.rates.setdefault(peer.name, []).append(len(numbers) / found.seconds)
            self._results.starts.setdefault(peer.name, []).append(found.start_seconds)
            if found.unexecuted:
                self._results.unexecuted[peer.name] = found.unexecuted
        if not self._known_right:
            ids = [candidate.task.id for candidate in self._candidates]
            compared, different = disagreements(ids, self._verdicts)
            self._results.compared, self._results.disagreements = compared, different

    def alone(self) -> None:
        """One candidate at a time, beside a bare fork."""
        peers = [peer for peer in self._peers if peer.name in _ALONE]
        for peer, found, _ in self._rounds("one at a time", peers, 1):
            self._results.latencies.setdefault(peer.name, []).append(found.latencies)

    def slots(self, counts: Sequence[int]) -> None:
        """Regreen's own with so many slots each."""
        peers = [peer for peer in self._peers if peer.name in _OURS]
        for count in counts:
            for peer, found, numbers in self._rounds(f"{count} slots", peers, count):
                rates = self._results.by_slots.setdefault(peer.name, {})
                rates.setdefault(count, []).append(len(numbers) / found.seconds)

    def _rounds(
        self, what: str, peers: Sequence[Peer], workers: int
    ) -> list[tuple[Peer, Round, list[int]]]:
        done: list[tuple[Peer, Round, list[int]]] = []
        for repeat in range(self._repeats):
            turn = repeat % max(1, len(peers))
            for peer in [*peers[turn:], *peers[:turn]]:
                if peer.name in self._results.skipped:
                    continue
                self._report(f"{what}: {peer.label}, {repeat + 1} of {self._repeats}")
                numbers = self._numbers(peer)
                try:
                    found = peer.run([self._candidates[number] for number in numbers], workers)
                except PeerError as error:
                    self._results.skipped[peer.name] = f"it failed: {error}"
                    continue
                self._check(peer, found, numbers)
                done.append((peer, found, numbers))
        # one that failed half-way has no figures that could be compared
        return [entry for entry in done if entry[0].name not in self._results.skipped]

    def _numbers(self, peer: Peer) -> list[int]:
        everything = range(len(self._candidates))
        if not peer.slow or len(everything) <= self._sample:
            return list(everything)
        return sorted(random.Random(SEED).sample(everything, self._sample))

    def _check(self, peer: Peer, found: Round, numbers: Sequence[int]) -> None:
        known = self._verdicts.setdefault(peer.name, {})
        for number, passed in zip(numbers, found.passed, strict=True):
            known.setdefault(number, passed)
            if self._known_right and not passed:
                wrong = self._results.wrong.setdefault(peer.name, [])
                task = self._candidates[number].task.id
                if task not in wrong:
                    wrong.append(task)


def available(
    peers: Sequence[Peer], wanted: Sequence[str], results: Results, *, strangers: bool
) -> list[Peer]:
    """The peers that can be asked; why the others can't is noted in the results."""
    found: list[Peer] = []
    for peer in peers:
        if wanted and peer.name not in wanted:
            continue
        reason = _UNPROTECTED if strangers and not peer.protected else peer.missing()
        if reason:
            results.skipped[peer.name] = reason
        else:
            found.append(peer)
    return found


def arguments(names: Sequence[str]) -> argparse.ArgumentParser:
    """The options. `names` are the known peers."""
    parser = argparse.ArgumentParser(
        prog="bench/sandbox.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK} candidates, one repeat")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of tables")
    parser.add_argument(
        "--only",
        default="",
        metavar="NAMES",
        help=f"these peers, separated by commas; known: {', '.join(names)}",
    )
    parser.add_argument("--programs", choices=("canonical", "bank"), default="canonical")
    parser.add_argument("--data", type=Path, help="the bank: gzipped lines with samples")
    parser.add_argument("--repeat", type=_positive, metavar="N", help=f"default: {_REPEATS}")
    parser.add_argument("--limit", type=_positive, metavar="N", help="at most so many candidates")
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="candidates at a time; default: the cores"
    )
    parser.add_argument(
        "--slots",
        type=_counts,
        metavar="N,N",
        help=f"compare so many slots; default: {_SLOTS}, or none for a bank",
    )
    parser.add_argument(
        "--sections",
        default="",
        metavar="NAMES",
        help="of throughput, alone, slots; default: all, or throughput for a bank",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help=f"all candidates for the slow peer too, not a sample of {_SAMPLE}",
    )
    parser.add_argument(
        "--unsandboxed",
        action="store_true",
        help="let peers without a sandbox run a bank's programs on this machine",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 up was expected")
    return number


def _counts(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]


def _names(
    text: str, allowed: Sequence[str], option: str, parser: argparse.ArgumentParser
) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        if name not in allowed:
            parser.error(f"{option} {name!r}: allowed are {', '.join(allowed)}")
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status: 1 where a right solution failed."""
    peers = all_peers()
    names = [peer.name for peer in peers]
    parser = arguments(names)
    options = parser.parse_args(argv)
    wanted = _names(options.only, names, "--only", parser)
    from_bank = options.programs == "bank"
    sections = _names(options.sections, ("throughput", "alone", "slots"), "--sections", parser) or [
        "throughput",
        *([] if from_bank else ["alone"]),
        *([] if from_bank else ["slots"]),
    ]
    if options.slots and "slots" not in sections:
        sections.append("slots")
    if from_bank and options.data is None:
        parser.error("--programs bank needs --data FILE, gzipped lines of a model's samples")
    limit = options.limit or (_QUICK if options.quick else _BANK)
    try:
        if from_bank:
            candidates = bank(options.data, limit)
        else:
            candidates = canonical()
            step = max(1, len(candidates) // limit)
            candidates = candidates[::step][:limit]
    except ProgramsError as error:
        parser.error(str(error))
    workers = options.workers or len(os.sched_getaffinity(0))
    repeats = options.repeat or (1 if options.quick else _REPEATS)
    results = Results(
        machine=machine(),
        settings={
            "programs": f"{len(candidates)}, {options.programs}",
            "at a time": workers,
            "repeats": repeats,
        },
    )

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    chosen = available(peers, wanted, results, strangers=from_bank and not options.unsandboxed)
    bench = Bench(
        candidates,
        chosen,
        results,
        known_right=not from_bank,
        repeats=repeats,
        sample=len(candidates) if options.full else (_SAMPLE // 4 if options.quick else _SAMPLE),
        report=report,
    )
    if "throughput" in sections:
        bench.throughput(workers)
    if "alone" in sections:
        bench.alone()
    if "slots" in sections:
        bench.slots(options.slots or _counts(_SLOTS))
    labels = {peer.name: peer.label for peer in peers}
    print(json.dumps(results.as_json()) if options.json else results.text(labels))
    return 1 if results.wrong else 0


if __name__ == "__main__":
    # however it is ended, containers and processes are cleared away first
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
