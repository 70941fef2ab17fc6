"""What each way to search is worth, on recorded samples and on a model that really runs.

    python bench/search.py --sections stopping,replayed,edits,value,money --bank FILE --models FILE
    python bench/search.py --sections cascade --models FILE [--bank FILE]
    python bench/search.py --sections early,controller --bank FILE
    python bench/search.py --sections agreement,reward --bank FILE --sandbox local
    python bench/search.py --sections early-live,prefix  the embedded model, a few minutes
    python bench/search.py --sections live               the embedded model, hours; it resumes

bench/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# As a script this file lies on the path before the package whose name it has.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(part for part in sys.path if Path(part).resolve() != _HERE)]

from bench import (  # noqa: E402
    search_agreement,
    search_cascade,
    search_controller,
    search_early,
    search_edits,
    search_live,
    search_money,
    search_prefix,
    search_replayed,
    search_reward,
    search_stopping,
    search_value,
)
from bench.results import machine  # noqa: E402
from bench.search_common import MissingDataError, SearchOptions, Section  # noqa: E402

SECTIONS: Mapping[str, Callable[[SearchOptions], Section]] = {
    "stopping": search_stopping.run,
    "replayed": search_replayed.run,
    "edits": search_edits.run,
    "value": search_value.run,
    "controller": search_controller.run,
    "live": search_live.run,
    "money": search_money.run,
    "cascade": search_cascade.run,
    "early": search_early.run_bank,
    "early-live": search_early.run_live,
    "prefix": search_prefix.run,
    "agreement": search_agreement.run,
    "reward": search_reward.run,
}
"""Each section by its name; it runs by itself, and says what it found."""


def main(
    argv: Sequence[str] | None = None,
    *,
    sections: Mapping[str, Callable[[SearchOptions], Section]] = SECTIONS,
    program: str = "bench/search.py",
    description: str | None = __doc__,
) -> int:
    """Runs the sections that were asked for and prints what they found."""
    asked = read(argv, sections, program, description)
    found: dict[str, object] = {}
    for name in asked.sections:
        print(f"section {name}", file=sys.stderr, flush=True)
        try:
            section = sections[name](asked)
        except MissingDataError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        found[name] = section.data
        if not asked.json:
            print("\n".join(["", *section.lines]), flush=True)
    if asked.json:
        print(json.dumps({"machine": machine(), **found}, indent=2))
    return 0


def read(
    argv: Sequence[str] | None,
    sections: Mapping[str, Callable[[SearchOptions], Section]] = SECTIONS,
    program: str = "bench/search.py",
    description: str | None = __doc__,
) -> SearchOptions:
    """The options of a command line."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    known = ", ".join(sections)
    usual = SearchOptions(sections=())
    add = parser.add_argument
    add("--sections", required=True, metavar="NAMES", help=f"of {known}")
    add("--json", action="store_true", help="one JSON object in place of tables")
    add("--models", type=Path, help="lines of task_id, model and solution")
    add("--bank", type=Path, help="lines of task_id and samples, weaker model")
    add("--verdicts", type=Path, help="the bank's, as `regreen verify --output` writes them")
    add("--belief", type=Path, help="agreement: a file for what was fitted")
    add("--reward", type=Path, help="reward: a file for the model that was learned")
    add("--model", default=usual.model, help="the live section's model")
    add(
        "--tasks", type=int, default=usual.tasks, help="live, replayed, controller: HumanEval tasks"
    )
    add("--samples", type=int, default=usual.samples, help="early-live: samples a task")
    add("--max-tokens", type=int, default=usual.max_tokens, help="early-live, prefix: of a sample")
    add("--tokens", type=int, default=usual.tokens, help="live: generated, a task")
    add("--runs", type=Path, help="live: folder of its runs")
    add("--strategies", default="", metavar="NAMES", help="live: only these")
    add("--sandbox", default=usual.sandbox, help="auto, docker, local")
    add("--slots", type=int, help="programs at a time")
    add("--seed", type=int, default=usual.seed, help="of all that is drawn by lot")
    add("--orders", type=int, default=usual.orders, help="shuffled orders of a bank")
    add("--candidates", type=int, default=usual.candidates, help="edits: failing programs")
    add("--edits", type=int, default=usual.edits, help="edits: of each program at the most")
    add("--free-edits", type=int, default=0, help="tiers, pool: of each promising failure")
    add("--part", choices=("all", "even", "odd"), default="all", help="of a bank's tasks")
    add("--all-edits", action="store_true", help="edits: go on after one that passes")
    add(
        "--price",
        action="append",
        default=[],
        metavar="MODEL=IN,OUT",
        help="dollars per million tokens; may be repeated",
    )
    given = vars(parser.parse_args(argv))
    for name in ("sections", "strategies"):
        given[name] = tuple(word.strip() for word in given[name].split(",") if word.strip())
    for word in given["sections"]:
        if word not in sections:
            parser.error(f"--sections {word!r}: allowed are {known}")
    for word in given["strategies"]:
        if word not in search_live.known_strategies():
            allowed = ", ".join(search_live.known_strategies())
            parser.error(f"--strategies {word!r}: allowed are {allowed}")
    given["prices"] = {}
    for text in given.pop("price"):
        name, _, numbers = text.rpartition("=")
        try:
            into, out = (float(number) for number in numbers.split(","))
        except ValueError:
            parser.error(f"--price {text!r}: write MODEL=IN,OUT in dollars per million tokens")
        given["prices"][name] = (into, out)
    return SearchOptions(**given)


if __name__ == "__main__":
    # however it is ended, containers and processes are cleared away first
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
