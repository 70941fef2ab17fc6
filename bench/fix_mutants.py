"""What `regreen fix` repairs without a model: real projects with one fault each.

    python bench/fix_mutants.py                          # all faults; the same command goes on
    python bench/fix_mutants.py --only toolz --limit 5
    python bench/fix_mutants.py --choose                 # draws the faults anew

Source archives come through pip. Faults are in bench/mutants: drawn from two mutators, and made
by hand where no mutator makes such. Every finished fault is a line in a file under --runs; lines
of other settings are left alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.mutants.choose import Checked, choose
from bench.mutants.faults import CHOSEN, FILES, FOLDER, Fault, read_faults, write_faults
from bench.mutants.injectors import NoInjectorError
from bench.mutants.projects import (
    TABLE,
    Project,
    ProjectError,
    fetch,
    read_projects,
    sources_folder,
    unpack,
)
from bench.mutants.results import HEAD, Row, line, summary, text
from bench.mutants.run import Runner
from sandbox.base import Sandbox
from sandbox.registry import SandboxOptions, choose_sandbox
from verifiers.repository import SUITE_LIMITS, Snapshot, SuiteOptions

_LIMITS = SUITE_LIMITS.model_copy(update={"wall_seconds": 600.0, "cpu_seconds": 20})
"""Cpu time ends what loops for ever, so that a busy machine makes no other choice."""
_PLANTS = 3
"""An over-fit is made of each fault whose place, counted within its project, this divides."""


class Bench:
    """The projects, and a sandbox with what all of their tests need.

    Args:
        given: the options.
        projects: that are needed.
    """

    def __init__(self, given: argparse.Namespace, projects: Sequence[Project]) -> None:
        self._given = given
        archives = fetch(projects, given.sources)
        self.projects = {one.name: one for one in projects}
        self.snapshots = {one.name: unpack(one, archives[one.name]) for one in projects}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Sandbox:
        needs = sorted({name for one in self.projects.values() for name in one.requirements})
        sandbox, why = await choose_sandbox(
            self._given.sandbox,
            SandboxOptions(limits=_LIMITS, slots=1, requirements=tuple(needs)),
        )
        await self._stack.enter_async_context(sandbox)
        report(f"sandbox {sandbox.level} ({why})")
        return sandbox

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def suite(self, name: str) -> tuple[Snapshot, SuiteOptions]:
        """A project, and how its tests are run."""
        options = SuiteOptions(limits=_LIMITS, arguments=self.projects[name].arguments)
        return self.snapshots[name], options


def report(said: str) -> None:
    """Progress, on standard error."""
    print(said, file=sys.stderr, flush=True)


async def run(given: argparse.Namespace) -> list[Row]:
    """Repairs what is left of the faults, one after the other; gives the rows that are wanted."""
    files = [given.folder / name for name in FILES]
    faults = wanted(read_faults(*files), given.only, given.limit)
    settings = f"{given.candidates} candidates, {given.seconds:g} s"
    given.runs.mkdir(parents=True, exist_ok=True)
    path = given.runs / "fix-mutants.jsonl"
    known = {row.id: row for row in read_rows(path) if row.settings == settings}
    left = [fault for fault in faults if fault.id not in known]
    report(f"{path}: {len(faults) - len(left)} of {len(faults)} faults are done")
    if left:
        table = read_projects(given.folder / TABLE)
        bench = Bench(given, [table[name] for name in dict.fromkeys(one.project for one in left)])
        async with bench as sandbox:
            runner = Runner(
                sandbox=sandbox,
                candidates=given.candidates,
                seconds=given.seconds,
                settings=settings,
            )
            for fault in left:
                right, options = bench.suite(fault.project)
                plant = given.plants and is_sampled(fault, faults)
                row = await runner.run(fault, right, options, plant=plant)
                known[fault.id] = row
                with path.open("a", encoding="utf-8") as file:
                    file.write(row.model_dump_json() + "\n")
                report(line(row))
    return [known[fault.id] for fault in faults]


async def draw(given: argparse.Namespace) -> None:
    """Draws the faults anew, and writes them down with what was left out."""
    table = [
        one
        for one in read_projects(given.folder / TABLE).values()
        if not given.only or one.name in given.only
    ]
    bench = Bench(given, table)
    given.runs.mkdir(parents=True, exist_ok=True)
    checked = Checked(given.runs / "fix-mutants-checked.jsonl")
    faults: list[Fault] = []
    left_out: dict[str, Counter[str]] = {}
    async with bench as sandbox:
        for project in table:
            right, options = bench.suite(project.name)
            found = await choose(
                project,
                right,
                sandbox,
                options,
                wanted=given.each,
                seed=given.seed,
                checked=checked,
                say=report,
            )
            faults += found.faults
            left_out[project.name] = found.left_out
    known_faults, told = _drawn_before(given.folder, {one.name for one in table})
    told |= {"seed": given.seed, "kept": len(known_faults) + len(faults)}
    told["left_out"] |= {name: dict(sorted(found.items())) for name, found in left_out.items()}
    write_faults(given.folder / CHOSEN, [*known_faults, *faults])
    (given.folder / "chosen.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    report(json.dumps(told))


def _drawn_before(folder: Path, but: set[str]) -> tuple[list[Fault], dict[str, Any]]:
    """What was drawn of other projects than these, and what was said of it."""
    file, said = folder / CHOSEN, folder / "chosen.json"
    faults = [one for one in read_faults(file) if one.project not in but]
    old = json.loads(said.read_text(encoding="utf-8")) if said.is_file() else {}
    left_out = {name: one for name, one in old.get("left_out", {}).items() if name not in but}
    return faults, {"seed": 0, "kept": 0, "left_out": left_out}


def wanted(faults: Sequence[Fault], only: Sequence[str], limit: int | None) -> list[Fault]:
    """The faults that are asked for: by project, by id or by the beginning of ids."""
    found = [
        one for one in faults if not only or one.project in only or one.id.startswith(tuple(only))
    ]
    return found[:limit]


def is_sampled(fault: Fault, faults: Sequence[Fault]) -> bool:
    """Whether an over-fit is made of a fault."""
    same = [one.id for one in faults if one.project == fault.project]
    return same.index(fault.id) % _PLANTS == 0


def read_rows(path: Path) -> list[Row]:
    """What was finished before; a line that was broken off is not."""
    rows = []
    for found in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(Row.model_validate_json(found))
        except ValueError:
            continue
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 if it came to its end."""
    parser = argparse.ArgumentParser(
        prog="bench/fix_mutants.py",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--only", default=(), type=_names, help="projects or ids, with commas")
    parser.add_argument("--limit", type=int, help="faults at the most")
    parser.add_argument("--candidates", type=int, default=150, help="patches a fault")
    parser.add_argument("--seconds", type=float, default=120, help="wall time a fault")
    parser.add_argument("--no-plants", dest="plants", action="store_false", help="no over-fits")
    parser.add_argument("--sandbox", default="auto", help="auto, docker, local")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where rows are kept")
    parser.add_argument(
        "--sources", type=Path, default=sources_folder(), help="where archives are kept"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    parser.add_argument("--choose", action="store_true", help="draw the faults anew")
    parser.add_argument("--seed", type=int, default=1, help="of that draw")
    parser.add_argument("--each", type=int, default=4, help="faults of each tool in each project")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="of the table of projects, and of the faults"
    )
    given = parser.parse_args(argv)
    try:
        if given.choose:
            anyio.run(draw, given)
            return 0
        rows = anyio.run(run, given)
    except (ProjectError, NoInjectorError) as error:
        parser.error(str(error))
    found = summary(rows)
    if given.json:
        everything = {"summary": found.model_dump(), "faults": [row.model_dump() for row in rows]}
        print(json.dumps(everything))
        return 0
    print("\n".join([HEAD, *map(line, rows), "", text(found)]))
    return 0


def _names(given: str) -> tuple[str, ...]:
    return tuple(name for name in given.split(",") if name)


if __name__ == "__main__":
    sys.exit(main())
