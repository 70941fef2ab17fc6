"""What `regreen fix` repairs without a model: small repositories with one fault each.

    python bench/fix.py --data quixbugs_dev.jsonl
    python bench/fix.py --data quixbugs_dev.jsonl --only kth,sieve --json
    python bench/fix.py --data quixbugs_dev.jsonl --only kth,sieve --runs 20

With `--runs` nothing is repaired: it tells how long one run of a suite takes, as a fork of what has
pytest imported, and with a Python of its own.

Each line of the file is a program with a fault in one line, and cases or a pytest file. A program
becomes a repository: a module, its tests, and nothing else. A patch counts as right if it passes
every case in a sandbox of its own, which is what `regreen fix` asks of it, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agent.budget import Budget, Ledger
from agent.fix.repair import Repair, Repairer
from bench.quixbugs import read_rows, repository
from sandbox.base import Sandbox
from sandbox.registry import SandboxOptions, choose_sandbox
from verifiers.repository import SUITE_LIMITS, RepositoryVerifier, SuiteOptions

_SUITE_SECONDS, _SUITE_CPU_SECONDS = 30.0, 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """One program.

    Attributes:
        name: of it.
        fixed: whether a patch was found and proven.
        tried: patches judged.
        seconds: wall time.
        edit: what the patch is.
        rank: place of the patched function among the suspects, from 1.
        others: further patches that pass the suite.
        note: why there is none.
    """

    name: str
    fixed: bool
    tried: int
    seconds: float
    edit: str = ""
    rank: int = 0
    others: int = 0
    note: str = ""


async def run(given: argparse.Namespace) -> list[Row]:
    """Repairs one after the other, in one sandbox; or only runs their suites."""
    limits = SUITE_LIMITS.model_copy(
        update={"wall_seconds": _SUITE_SECONDS, "cpu_seconds": _SUITE_CPU_SECONDS}
    )
    sandbox, why = await choose_sandbox(
        given.sandbox, SandboxOptions(limits=limits, slots=given.slots)
    )
    async with sandbox:
        print(f"sandbox {sandbox.level} ({why})", file=sys.stderr)
        found: list[Row] = []
        for row in read_rows(given.data, given.only):
            if given.runs:
                print(await _suite_times(sandbox, row, limits, given.runs))
                continue
            found.append(await _one(sandbox, row, limits, given.candidates))
            print(_line(found[-1]), file=sys.stderr, flush=True)
    return found


async def _one(sandbox: Sandbox, row: dict[str, Any], limits: Any, most: int) -> Row:
    began = time.monotonic()
    repairer = Repairer(
        sandbox=sandbox,
        options=SuiteOptions(limits=limits),
        ledger=Ledger(Budget()),
        most=most,
        workers=sandbox.slots,
    )
    repair = await repairer.repair(repository(row))
    return _row(row["name"], repair, time.monotonic() - began)


async def _suite_times(sandbox: Sandbox, row: dict[str, Any], limits: Any, times: int) -> str:
    snapshot = repository(row)
    verifier = RepositoryVerifier(sandbox, snapshot, SuiteOptions(limits=limits))
    known = await verifier.baseline()
    path = next(name for name in verifier.sources if name.endswith(f"{row['name']}.py"))
    patch = {path: f"{row['buggy']}\n"}
    forked, own = [], []
    for _ in range(times):
        verdict = await verifier.verify(
            patch, fail_to_pass=known.failing, pass_to_pass=known.passing
        )
        forked.append(verdict.seconds)
        own.append((await verifier.baseline()).seconds)  # the slower of its two: the second
    return (
        f"{row['name']:24} a run of the suite, median of {times}: {median(forked):.3f} s forked, "
        f"{median(own):.3f} s with a Python of its own"
    )


def _row(name: str, repair: Repair, seconds: float) -> Row:
    chosen = repair.chosen
    if chosen is None or repair.left:
        note = repair.targets.broken or repair.stopped
        note = note or ("nothing fails" if not repair.targets.failing else "")
        if repair.refused:
            note = note or f"not proven: {repair.refused[0][1]}"
        if repair.best is not None:
            candidate, reward = repair.best
            note = note or f"best {reward:.2f}: {candidate.kind}, line {candidate.place.line}"
        return Row(name, False, repair.tried, seconds, note=note)
    candidate, place = chosen.candidate, chosen.candidate.place
    places = [(one.path, one.name) for one in repair.suspects]
    return Row(
        name,
        True,
        repair.tried,
        seconds,
        edit=f"{candidate.kind}, line {place.line}",
        rank=places.index((place.path, place.name)) + 1,
        others=len(repair.finalists) - 1,
    )


def _line(row: Row) -> str:
    said = row.edit if row.fixed else row.note
    return (
        f"{row.name:24}{'fixed' if row.fixed else '-':>8}{row.tried:>8}{row.seconds:>9.1f}"
        f"{row.rank or '':>6}{row.others if row.fixed else '':>8}  {said}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 if it came to its end."""
    parser = argparse.ArgumentParser(
        prog="bench/fix.py",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="lines of name, buggy and tests")
    parser.add_argument("--only", default="", metavar="NAMES", help="separated by commas")
    parser.add_argument("--candidates", type=int, default=400, help="patches a program")
    parser.add_argument("--sandbox", default="auto", help="auto, docker, local")
    parser.add_argument("--slots", type=int, help="suites at a time")
    parser.add_argument("--runs", type=int, default=0, help="only run each suite so many times")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    given = parser.parse_args(argv)
    rows = anyio.run(run, given)
    if given.runs:
        return 0
    fixed = sum(row.fixed for row in rows)
    if given.json:
        print(json.dumps({"fixed": fixed, "programs": [asdict(row) for row in rows]}))
        return 0
    print(f"{'program':24}{'':>8}{'tried':>8}{'seconds':>9}{'rank':>6}{'others':>8}")
    for row in rows:
        print(_line(row))
    near = sum(0 < row.rank <= 3 for row in rows)
    print(
        f"{fixed} of {len(rows)} fixed, no model asked; of {near} the function was in the top three"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
