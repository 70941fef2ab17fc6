"""How far `validated` and `plausible` are to be believed: true fixes and over-fits, told apart.

    python bench/fix_validation.py --data quixbugs_dev.jsonl
    python bench/fix_validation.py --data quixbugs_dev.jsonl --only kth,sieve --json rows.json

Each program with a fault becomes a repository whose suite has some of the program's cases. Patches
that pass that suite come from three places: the true fix, written down here; every small edit that
passes; and over-fits planted here, which know the failing cases by heart. A patch counts as right
if it gives what the true fix gives on all cases, those that the suite does not have included, and
on inputs made from them on which the program is defined. The validation knows nothing of that.

Three questions are put:
- as found: of what `regreen fix` would find, is what it chooses right, and what is it called?
- alone: if a patch were the only one that is found, what is it called? Over-fits planted included.
- together: is the true fix chosen from among it and the planted over-fits?

Suites cost most, so here it is calls that tell which small edits pass: what tests recorded has to
give what it gives with the patch. All tests here compare results for equality.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agent.budget import Budget, Ledger
from agent.fix.edits import edits
from agent.fix.repair import FINALISTS, FURTHER
from agent.fix.suspects import find_suspects
from agent.fix.targets import Targets
from agent.fix.validation.assessment import Assessment, Decision, Evidence, order
from agent.fix.validation.encoded import to_data, to_value
from agent.fix.validation.harness import Harness, Seen
from agent.fix.validation.inputs import Input, Origin, make_inputs
from agent.fix.validation.neighbours import neighbours
from agent.fix.validation.validator import Validator
from bench.fix_validation_programs import Program, humaneval, quixbugs
from bench.quixbugs import case_file
from sandbox.base import Sandbox
from sandbox.registry import SandboxOptions, choose_sandbox
from verifiers.repository import (
    SUITE_LIMITS,
    File,
    Patch,
    RepositoryVerifier,
    Snapshot,
    SuiteOptions,
)

_SUITE_SECONDS = 120.0
_EDITS = 79
"""Small edits of a program; with the true fix, what two runs observe."""
_ALONE = 6
"""Edits of each kind, right and wrong, that are judged alone."""


@dataclass(frozen=True, slots=True)
class Row:
    """One patch, and what was said of it.

    Attributes:
        program: whose.
        size: how much of the cases the suite has.
        question: `found`, `alone` or `together`.
        kind: `fix`, `edit` or `planted`.
        right: whether it does what the true fix does.
        confidence: what it was called.
        evidence: numbers that the decision rests on.
        why: what was said of it.
    """

    program: str
    size: str
    question: str
    kind: str
    right: bool
    confidence: str
    evidence: dict[str, Any]
    why: tuple[str, ...]


class _Remembering(Harness):
    """Keeps what each version gave."""

    def __init__(self, verifier: RepositoryVerifier, known: dict[str, tuple[Seen, ...]]) -> None:
        super().__init__(verifier)
        self._known = known

    async def observe(
        self, patches: Sequence[Patch], inputs: Sequence[Input]
    ) -> list[tuple[Seen, ...]]:
        found = await super().observe(patches, inputs)
        self._known |= {_key(one): seen for one, seen in zip(patches, found, strict=True)}
        return found


def _key(patch: Patch) -> str:
    return json.dumps(dict(patch), sort_keys=True)


class _Quick(Validator):
    """Tells by the calls that tests made which small edits pass."""

    known: dict[str, tuple[Seen, ...]]
    tried: dict[int, Evidence]

    def _harness(self) -> Harness:
        return _Remembering(self.verifier, self.known)

    async def passes(self, patches: Sequence[Patch]) -> list[bool]:
        places = [n for n, one in enumerate(self._inputs) if one.origin.recorded]
        first = self._seen[0]
        return [
            _same([self.known[_key(one)][n] for n in places], [first[n] for n in places])
            for one in patches
        ]

    async def try_neighbours(
        self, patch: Patch, chosen: Assessment, evidence: Evidence
    ) -> Evidence:
        if chosen.number not in self.tried:
            self.tried[chosen.number] = await super().try_neighbours(patch, chosen, Evidence())
        found = self.tried[chosen.number]
        names = ("neighbours", "survived", "alike")
        return evidence.model_copy(update={name: getattr(found, name) for name in names})

    async def among(self, numbers: Sequence[int], patches: Sequence[Patch]) -> _Choice:
        """What is chosen if only some of the assessed patches had been found, in this order."""
        known = {one.number: one for one in self.everything}
        groups = [known[number].group for number in numbers]
        some = [
            known[number].model_copy(update={"alike": groups.count(known[number].group)})
            for number in numbers
        ]
        places = {number: place for place, number in enumerate(numbers)}
        some.sort(key=lambda one: (*order(one)[:-1], places[one.number]))
        self._assessed = tuple(some)
        decision = await self.decide(some[0], patches, proven=True)
        return _Choice(some[0], decision, self.evidence)

    everything: tuple[Assessment, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    one: Assessment
    decision: Decision
    evidence: Evidence


def _same(one: Sequence[Seen], other: Sequence[Seen]) -> bool:
    return all(
        a.kind == b.kind == "value" and a.preview == b.preview and a.digest == b.digest
        for a, b in zip(one, other, strict=True)
    )


class _Bench:
    """One program, with a suite of one size."""

    def __init__(self, sandbox: Sandbox, program: Program, size: str, seed: int) -> None:
        self._program, self._size = program, size
        self._draw = random.Random(f"{seed}:{program.name}:{size}")
        self._sandbox = sandbox
        limits = SUITE_LIMITS.model_copy(
            update={"wall_seconds": _SUITE_SECONDS, "cpu_seconds": round(_SUITE_SECONDS)}
        )
        self._limits = limits
        self._options = SuiteOptions(limits=limits)
        self._path = f"{program.name}.py"
        self._label = f"{program.name}:{program.name}"
        self.rows: list[Row] = []

    async def run(self) -> None:
        """Makes patches, sorts them into right and wrong, and has them judged."""
        program = self._program
        everything = await self._before_and_after(program.cases)
        wrong = [n for n, (a, b) in enumerate(everything) if not _same([a], [b])]
        visible = self._choose(len(program.cases), wrong)
        if visible is None:
            return
        cases = [program.cases[number] for number in visible]
        self._snapshot = _snapshot(program, cases)
        verifier = RepositoryVerifier(self._sandbox, self._snapshot, self._options)
        self._targets = _targets(program.name, visible, wrong, everything)
        given = [program.cases[number] for number in visible if number in wrong]
        patches = self._patches(verifier, given)
        kinds = [kind for kind, _ in patches]
        harness = Harness(verifier)
        hidden = self._truth_inputs()
        shown = self._inputs(cases)
        rows = await harness.observe([patch for _, patch in patches], [*shown, *hidden])
        truth = rows[0]
        passing = [n for n, row in enumerate(rows) if _same(row[: len(shown)], truth[: len(shown)])]
        # where the true fix gives no value, nothing is defined
        defined = [n for n, one in enumerate(truth) if one.kind == "value"]
        right = {
            n: all(
                (rows[n][i].kind, rows[n][i].digest) == (truth[i].kind, truth[i].digest)
                for i in defined
            )
            for n in passing
        }
        await self._judge(passing, [patch for _, patch in patches], kinds, right)

    def _choose(self, count: int, wrong: Sequence[int]) -> list[int] | None:
        """Which cases the suite has: one that fails at the least, and others if there are any."""
        if not wrong:
            return None
        size = {"few": 3, "half": max(3, count // 2), "all": count}[self._size]
        if self._size != "all" and size >= count:
            return None
        fine = [n for n in range(count) if n not in wrong]
        first = [self._draw.choice(wrong), *self._draw.sample(fine, min(1, len(fine)))]
        rest = [n for n in range(count) if n not in first]
        return sorted([*first, *self._draw.sample(rest, max(0, size - len(first)))])

    async def _before_and_after(self, cases: Sequence[Any]) -> list[tuple[Seen, Seen]]:
        snapshot = _snapshot(self._program, cases)
        harness = Harness(RepositoryVerifier(self._sandbox, snapshot, self._options))
        old, new = await harness.observe(
            [{}, {self._path: self._program.right}], self._inputs(cases)
        )
        return list(zip(old, new, strict=True))

    def _inputs(self, cases: Sequence[Any]) -> list[Input]:
        return [Input(self._label, _given(arguments), Origin.PASSING) for arguments, _ in cases]

    def _truth_inputs(self) -> list[Input]:
        """All cases, and inputs made from them on which the program is defined."""
        cases = self._inputs(self._program.cases)
        made = make_inputs(self._label, [one.given for one in cases], [], None, seed=7)
        fine = [one for one in made if _holds(self._program.domain, one)]
        return [*cases, *[one for one in fine if not one.origin.recorded]]

    def _patches(
        self, verifier: RepositoryVerifier, failing: Sequence[Any]
    ) -> list[tuple[str, Patch]]:
        """The true fix first, then planted over-fits, then small edits in the order of a search."""
        targets = self._targets
        suspects = find_suspects(self._snapshot, verifier.sources, targets)
        found: list[tuple[str, Patch]] = [("fix", {self._path: self._program.right})]
        found += [("planted", {self._path: text}) for text in planted(self._program, failing)]
        made = edits(self._snapshot, suspects, targets.failing)
        for _, one in zip(range(_EDITS), made, strict=False):
            found.append(("edit", dict(one.texts)))
        return found

    async def _validator(self, patches: Sequence[Patch]) -> _Quick:
        targets = self._targets
        validator = _Quick(
            verifier=RepositoryVerifier(self._sandbox, self._snapshot, self._options),
            limits=self._limits,
            ledger=Ledger(Budget()),
            failing=targets.failing,
            hanging=targets.hanging,
            passing=targets.passing,
        )
        validator.known, validator.tried = {}, {}
        validator.everything = await validator.assess(patches)
        return validator

    async def _judge(
        self,
        passing: Sequence[int],
        texts: Sequence[Patch],
        kinds: Sequence[str],
        right: dict[int, bool],
    ) -> None:
        """Puts the three questions; the numbers are those of the patches."""
        edits_ = [n for n in passing if kinds[n] == "edit"]
        finalists = [n for n in edits_ if n - edits_[0] <= FURTHER][:FINALISTS]
        own = [n for n in passing if kinds[n] != "edit"]
        alone = list(own)
        for verdict in (True, False):
            some = [n for n in edits_ if right[n] is verdict]
            alone += self._draw.sample(some, min(_ALONE, len(some)))
        wanted = list(dict.fromkeys([*finalists, *own, *alone]))
        patches = [texts[n] for n in wanted]
        validator = await self._validator(patches)
        questions = [("found", finalists), ("together", own[::-1] if len(own) > 1 else [])]
        questions += [("alone", [n]) for n in alone]
        for question, numbers in questions:
            if numbers:
                found = await validator.among([wanted.index(n) for n in numbers], patches)
                number = wanted[found.one.number]
                self._add(question, kinds[number], right[number], found)

    def _add(self, question: str, kind: str, right: bool, found: _Choice) -> None:
        one, said = found.one, found.decision
        numbers = {
            **found.evidence.model_dump(exclude={"differing"}),
            "behaviour": one.behaviour.model_dump(exclude={"examples"}) if one.behaviour else None,
            "flags": [f"{flag.weight}:{flag.sort}" for flag in one.flags],
            "diff_size": one.size,
        }
        program = self._program.name
        confidence = str(said.confidence)
        self.rows.append(
            Row(program, self._size, question, kind, right, confidence, numbers, said.why)
        )


def _targets(
    name: str, visible: Sequence[int], wrong: Sequence[int], seen: Sequence[tuple[Seen, Seen]]
) -> Targets:
    """Which of the suite's tests fail and which hang, as is known of the cases."""
    ids = {number: f"test_{name}.py::test_case[{place}]" for place, number in enumerate(visible)}
    return Targets(
        failing={ids[n]: "" for n in visible if n in wrong},
        hanging=tuple(ids[n] for n in visible if seen[n][0].kind == "hang"),
        passing=tuple(ids[n] for n in visible if n not in wrong),
    )


def planted(program: Program, failing: Sequence[Any]) -> list[str]:
    """Over-fits: programs with the fault that know the failing cases."""
    tree = ast.parse(program.buggy)
    function = next(
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == program.name
    )
    names = [one.arg for one in function.args.args]
    pair = f"[{', '.join(names)}]"
    by_equality = [
        f"if {pair} == {arguments!r}:\n    return {expected!r}" for arguments, expected in failing
    ]
    table = {repr(arguments): expected for arguments, expected in failing}
    by_hash = [
        f"if len(repr({pair})) == {len(repr(arguments))} and sum(map(ord, repr({pair}))) =="
        f" {sum(map(ord, repr(arguments)))}:\n    return {expected!r}"
        for arguments, expected in failing
    ]
    by_length = [
        f"if len(repr({pair})) == {len(repr(arguments))}:\n    return {expected!r}"
        for arguments, expected in failing
    ]
    heads = [
        "\n".join(by_equality),
        f"known = {table!r}\nif repr({pair}) in known:\n    return known[repr({pair})]",
        "\n".join(by_hash),
        "\n".join(by_length),
        f"for given, answer in {[list(case) for case in failing]!r}:\n"
        f"    if given == {pair}:\n        return answer",
    ]
    lines = program.buggy.split("\n")
    first = function.body[0]
    at = first.lineno - 1
    indent = " " * first.col_offset
    if _is_generator(function):
        heads = [head.replace("return ", "return (yield from ") for head in heads]
        heads = [
            "\n".join(f"{line})" if "yield from" in line else line for line in head.split("\n"))
            for head in heads
        ]
    made = []
    for head in heads:
        body = [f"{indent}{line}" for line in head.split("\n")]
        made.append("\n".join([*lines[:at], *body, *lines[at:]]))
    return made


def _is_generator(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))


def _given(arguments: Sequence[Any]) -> Any:
    return ["l", [to_data(list(arguments)), ["d", []]]]


def _holds(domain: Callable[..., bool], one: Input) -> bool:
    try:
        return bool(domain(*to_value(one.given)[0]))
    except Exception:
        return False


def _snapshot(program: Program, cases: Sequence[Any]) -> Snapshot:
    files = {
        f"{program.name}.py": program.buggy,
        f"test_{program.name}.py": case_file(program.name, cases),
    }
    return Snapshot(files={path: File(content=text.encode()) for path, text in files.items()})


async def with_fault(sandbox: Sandbox, program: Program, seed: int) -> Program | None:
    """A program with an edit that some cases notice, and others don't; `None` if none is found."""
    path = f"{program.name}.py"
    empty = Snapshot(files={path: File()})
    made = neighbours(empty, {path: program.right}, count=40, seed=seed)
    limits = SUITE_LIMITS.model_copy(update={"wall_seconds": _SUITE_SECONDS})
    snapshot = _snapshot(program, program.cases)
    harness = Harness(RepositoryVerifier(sandbox, snapshot, SuiteOptions(limits=limits)))
    label = f"{program.name}:{program.name}"
    inputs = [Input(label, _given(arguments), Origin.PASSING) for arguments, _ in program.cases]
    truth, *rows = await harness.observe([{}, *made], inputs)
    if any(one.kind != "value" for one in truth):
        return None
    for patch, row in zip(made, rows, strict=True):
        failing = sum(not _same([a], [b]) for a, b in zip(truth, row, strict=True))
        if 0 < failing <= len(truth) // 2 and not any(one.kind == "hang" for one in row):
            return replace(program, buggy=patch[path] or "")
    return None


async def run(given: argparse.Namespace) -> list[Row]:
    """Judges the patches of all programs, in one sandbox."""
    only = {name for name in given.only.split(",") if name}
    known = (
        quixbugs(given.data) if given.data is not None else humaneval()[given.first :: given.step]
    )
    programs = [one for one in known if not only or one.name in only]
    limits = SUITE_LIMITS.model_copy(
        update={"wall_seconds": _SUITE_SECONDS, "cpu_seconds": round(_SUITE_SECONDS)}
    )
    sandbox, _ = await choose_sandbox(
        given.sandbox, SandboxOptions(limits=limits, allow_reduced=True)
    )
    found: list[Row] = []
    async with sandbox:
        for whole in programs:
            faulty = given.data is not None
            program = whole if faulty else await with_fault(sandbox, whole, given.seed)
            for size in given.sizes.split(",") if program is not None else ():
                began = time.monotonic()
                bench = _Bench(sandbox, program, size, given.seed)
                await bench.run()
                found += bench.rows
                if given.json is not None:
                    given.json.write_text(json.dumps([asdict(row) for row in found], indent=1))
                print(
                    f"{program.name} {size}: {len(bench.rows)} rows,"
                    f" {time.monotonic() - began:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
    return found


def show(rows: Sequence[Row]) -> None:
    """Precision of `validated` and of `plausible`, and how many are which."""
    print(
        f"{'question':10}{'kind':9}{'patches':>8}{'right':>7}{'validated':>11}"
        f"{'of them right':>15}{'plausible':>11}{'of them right':>15}"
    )
    for question in ("found", "together", "alone"):
        for kind in ("fix", "edit", "planted", ""):
            some = [r for r in rows if r.question == question and (not kind or r.kind == kind)]
            if not some:
                continue
            cells = []
            for word in ("validated", "plausible"):
                those = [row for row in some if row.confidence == word]
                right = sum(row.right for row in those)
                cells.append(f"{len(those):>11}{f'{right} of {len(those)}':>15}")
            print(f"{question:10}{kind or 'all':9}{len(some):>8}{sum(r.right for r in some):>7}"
                  + "".join(cells))  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 if it came to its end."""
    parser = argparse.ArgumentParser(
        prog="bench/fix_validation.py",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="lines of name, buggy and cases; else HumanEval's, with faults made",
    )
    parser.add_argument("--first", type=int, default=0, help="of HumanEval's programs")
    parser.add_argument("--step", type=int, default=1, help="from one of them to the next")
    parser.add_argument("--only", default="", metavar="NAMES", help="separated by commas")
    parser.add_argument("--sizes", default="few,half,all", help="how many cases the suite has")
    parser.add_argument("--sandbox", default="auto", help="auto, docker, local")
    parser.add_argument("--seed", type=int, default=0, help="of which cases the suite has")
    parser.add_argument("--json", type=Path, help="write the rows there")
    given = parser.parse_args(argv)
    rows = anyio.run(run, given)
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
