"""How fast each sandbox judges candidates, beside other ways to judge them, and at what price.

    python bench/sandbox.py                       the canonical HumanEval solutions, all peers
    python bench/sandbox.py --quick               a part of them, once
    python bench/sandbox.py --programs canonical,bank --data FILE   with a model's real samples
    python bench/sandbox.py --sections memory     20,000 candidates through each sandbox

Everything in one run on one machine at the same concurrency, the order of the peers rotated from
repeat to repeat. Every verdict is executed: no cache. bench/README.md says what is measured.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

# As a script this file lies on the path before the package whose name it has.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(part for part in sys.path if Path(part).resolve() != _HERE)]

from bench import memory, options, properties, tables  # noqa: E402
from bench.options import Options  # noqa: E402
from bench.peers import Peer, PeerError, all_peers  # noqa: E402
from bench.programs import Candidate, ProgramsError, bank, canonical  # noqa: E402
from bench.results import Results, machine  # noqa: E402
from bench.rounds import OURS, Rounds, Rules, available, for_strangers  # noqa: E402


def report(line: str) -> None:
    """Says on standard error what begins."""
    print(line, file=sys.stderr, flush=True)


def programs(asked: Options) -> dict[str, list[Candidate]]:
    """The candidates of each set.

    Raises:
        ProgramsError: the bank's file is missing or malformed.
    """
    found: dict[str, list[Candidate]] = {}
    for name in asked.sets:
        if name == "bank":
            assert asked.data is not None
            found[name] = bank(asked.data, asked.limit or options.BANK)
        else:
            everything = canonical()
            step = max(1, len(everything) // (asked.limit or len(everything)))
            found[name] = everything[::step][: asked.limit]
    return found


def run(
    asked: Options, sets: dict[str, list[Candidate]], peers: Sequence[Peer], results: Results
) -> None:
    """All the sections that were asked for."""
    workers = asked.workers or len(os.sched_getaffinity(0))
    chosen = available(peers, asked.only, results.skipped)
    rules = Rules(repeats=asked.repeats, full=asked.full, most=asked.most, report=report)
    for number, (name, candidates) in enumerate(sets.items()):
        allowed: Sequence[Peer] = chosen
        refused: dict[str, str] = {}
        if name == "bank" and not asked.unsandboxed:
            allowed = for_strangers(chosen, refused)
        rounds = Rounds(
            name,
            candidates,
            known_right=name == "canonical",
            peers=allowed,
            results=results,
            rules=rules,
        )
        results.sets[name].skipped.update(refused)
        if "throughput" in asked.sections:
            rounds.throughput(workers)
        if number == 0 and "alone" in asked.sections:
            rounds.alone()
        if number == 0 and "slots" in asked.sections:
            rounds.slots(asked.slots)
    for peer in chosen:
        if peer.name in OURS:
            # right solutions only: a bank's programs use memory of their own, and seconds
            _ours(peer.name, asked, sets.get("canonical") or canonical(), workers, results)


def _ours(
    name: str, asked: Options, candidates: list[Candidate], workers: int, results: Results
) -> None:
    """The sections that only Regreen's own are asked for."""
    try:
        if "hypothesis" in asked.sections:
            results.properties[name] = properties.measure(
                name, examples=asked.examples, repeats=asked.repeats, report=report
            )
        if "memory" in asked.sections:
            results.memory[name] = memory.measure(
                name,
                candidates,
                count=asked.candidates,
                every=asked.every,
                workers=workers,
                report=report,
            )
    except PeerError as error:
        results.skipped[name] = f"it failed: {error}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status: 1 where a right solution failed."""
    peers = all_peers()
    asked = options.read(__doc__ or "", [peer.name for peer in peers], argv)
    try:
        sets = programs(asked)
    except ProgramsError as error:
        print(f"bench/sandbox.py: {error}", file=sys.stderr)
        return 2
    results = Results(
        machine=machine(),
        settings={
            "programs": ", ".join(f"{len(found)} {name}" for name, found in sets.items()),
            "at a time": asked.workers or len(os.sched_getaffinity(0)),
            "repeats": asked.repeats,
        },
    )
    run(asked, sets, peers, results)
    labels = {peer.name: peer.label for peer in peers}
    print(json.dumps(results.as_json()) if asked.json else tables.text(results, labels))
    return 1 if results.wrong else 0


if __name__ == "__main__":
    # however it is ended, containers and processes are cleared away first
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
