"""What the sandbox benchmark can be asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

QUICK = 24
BANK = 2_000
SETS = ("canonical", "bank")
SECTIONS = ("throughput", "alone", "slots", "hypothesis", "memory")
_USUAL = ("throughput", "alone", "slots", "hypothesis")
_SAMPLE_QUICK = 5
_REPEATS = 3
_SLOTS = (1, 2, 4, 8)
_EXAMPLES, _EXAMPLES_QUICK = 3_000, 300
_CANDIDATES, _CANDIDATES_QUICK = 20_000, 200
_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, complete and checked.

    Attributes:
        json: one JSON object in place of tables.
        only: names of peers; empty for all.
        sets: of `SETS`; the first one is what sections other than throughput use.
        data: the bank's file.
        limit: candidates of a set at most, or `None`.
        sections: of `SECTIONS`.
        repeats: of everything but memory.
        workers: candidates at a time, or `None` for as many as there are cores.
        slots: numbers of slots to compare.
        full: all candidates for every peer.
        most: in place of what a peer has for a sample, if that is higher; 0 for no such limit.
        unsandboxed: whether peers without a sandbox may run a bank's programs.
        examples: of each property.
        candidates: through one sandbox, for its memory.
        every: candidates between two samples of memory.
    """

    json: bool
    only: tuple[str, ...]
    sets: tuple[str, ...]
    data: Path | None
    limit: int | None
    sections: tuple[str, ...]
    repeats: int
    workers: int | None
    slots: tuple[int, ...]
    full: bool
    most: int
    unsandboxed: bool
    examples: int
    candidates: int
    every: int


def read(description: str, peers: Sequence[str], argv: Sequence[str] | None) -> Options:
    """The options of a command line.

    Args:
        description: for `--help`.
        peers: the names that `--only` may have.
        argv: the command line; `None` for this process's.
    """
    parser = _parser(description, peers)
    given = parser.parse_args(argv)
    sets = tuple(_names(given.programs, SETS, "--programs", parser)) or SETS[:1]
    if "bank" in sets and given.data is None:
        parser.error("--programs bank needs --data FILE, gzipped lines of a model's samples")
    usual = _USUAL if sets[0] == "canonical" else _USUAL[:1]
    sections = _names(given.sections, SECTIONS, "--sections", parser) or [*usual]
    if given.slots and "slots" not in sections:
        sections.append("slots")
    quick = given.quick
    candidates = given.candidates or (_CANDIDATES_QUICK if quick else _CANDIDATES)
    return Options(
        json=given.json,
        only=tuple(_names(given.only, peers, "--only", parser)),
        sets=sets,
        data=given.data,
        limit=given.limit or (QUICK if quick else None),
        sections=tuple(sections),
        repeats=given.repeat or (1 if quick else _REPEATS),
        workers=given.workers,
        slots=tuple(given.slots or _SLOTS),
        full=given.full,
        most=_SAMPLE_QUICK if quick else 0,
        unsandboxed=given.unsandboxed,
        examples=given.examples or (_EXAMPLES_QUICK if quick else _EXAMPLES),
        candidates=candidates,
        every=given.every or max(1, min(_EVERY, candidates // 10)),
    )


def _parser(description: str, peers: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/sandbox.py",
        description=description,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK} candidates of a set, one repeat"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object in place of tables")
    parser.add_argument(
        "--only",
        default="",
        metavar="NAMES",
        help=f"these peers, separated by commas; known: {', '.join(peers)}",
    )
    parser.add_argument(
        "--programs",
        default="",
        metavar="NAMES",
        help="of canonical, bank; default: canonical. The first is what sections other than\n"
        "throughput use",
    )
    parser.add_argument("--data", type=Path, help="the bank: gzipped lines with samples")
    parser.add_argument(
        "--sections",
        default="",
        metavar="NAMES",
        help=f"of {', '.join(SECTIONS)};\ndefault: all but memory, or throughput for a bank alone",
    )
    for flag, said in (
        ("--repeat", f"default: {_REPEATS}"),
        ("--limit", f"at most so many candidates of a set; of a bank: {BANK}"),
        ("--workers", "candidates at a time; default: the cores"),
        ("--examples", f"hypothesis: of each property; default: {_EXAMPLES}"),
        ("--candidates", f"memory: through each sandbox; default: {_CANDIDATES}"),
        ("--every", f"memory: candidates between two samples; default: a tenth, {_EVERY} at most"),
    ):
        parser.add_argument(flag, type=_positive, metavar="N", help=said)
    parser.add_argument(
        "--slots",
        type=lambda text: [_positive(part) for part in text.split(",")],
        metavar="N,N",
        help=f"compare so many slots; default: {','.join(map(str, _SLOTS))}",
    )
    parser.add_argument(
        "--full", action="store_true", help="all candidates for slow peers too, not a sample"
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


def _names(
    text: str, allowed: Sequence[str], option: str, parser: argparse.ArgumentParser
) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in allowed:
            parser.error(f"{option} {name!r}: allowed are {', '.join(allowed)}")
    return names
