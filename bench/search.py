"""What each way to search is worth, on recorded samples and on a model that really runs.

    python bench/search.py --sections cascade --models FILE [--bank FILE]
    python bench/search.py --sections early --bank FILE
    python bench/search.py --sections early-live,prefix      the embedded model, a few minutes

Verdicts are kept in the user's cache, so a run that was broken off goes on where it was.
bench/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# As a script this file lies on the path before the package whose name it has.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(part for part in sys.path if Path(part).resolve() != _HERE)]

from bench import search_cascade, search_early, search_prefix  # noqa: E402
from bench.results import machine  # noqa: E402
from bench.search_common import MissingDataError, SearchOptions, Section  # noqa: E402

SECTIONS: Mapping[str, Callable[[SearchOptions], Section]] = {
    "cascade": search_cascade.run,
    "early": search_early.run_bank,
    "early-live": search_early.run_live,
    "prefix": search_prefix.run,
}
"""Each section by its name; it runs by itself, and says what it found."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the sections that were asked for and prints what they found."""
    asked = read(argv)
    found: dict[str, object] = {}
    for name in asked.sections:
        print(f"section {name}", file=sys.stderr, flush=True)
        try:
            section = SECTIONS[name](asked)
        except MissingDataError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        found[name] = section.data
        if not asked.json:
            print("\n".join(["", *section.lines]), flush=True)
    if asked.json:
        print(json.dumps({"machine": machine(), **found}, indent=2))
    return 0


def read(argv: Sequence[str] | None) -> SearchOptions:
    """The options of a command line."""
    parser = argparse.ArgumentParser(
        prog="bench/search.py",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    known = ", ".join(SECTIONS)
    parser.add_argument("--sections", required=True, metavar="NAMES", help=f"of {known}")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of tables")
    parser.add_argument("--models", type=Path, help="lines of task_id, model and solution")
    parser.add_argument("--bank", type=Path, help="lines of task_id and samples, weaker model")
    parser.add_argument("--model", default="local/smollm2-135m", help="the live sections' model")
    parser.add_argument("--tasks", type=int, default=20, help="live: HumanEval tasks; default: 20")
    parser.add_argument("--samples", type=int, default=2, help="live: samples a task; default: 2")
    parser.add_argument("--max-tokens", type=int, default=256, help="live: of a sample")
    parser.add_argument("--sandbox", default="auto", help="auto, docker, local")
    parser.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="MODEL=IN,OUT",
        help="cascade: dollars per million tokens; may be repeated",
    )
    given = parser.parse_args(argv)
    sections = [word.strip() for word in given.sections.split(",") if word.strip()]
    for word in sections:
        if word not in SECTIONS:
            parser.error(f"--sections {word!r}: allowed are {known}")
    prices = {}
    for text in given.price:
        name, _, numbers = text.rpartition("=")
        try:
            into, out = (float(number) for number in numbers.split(","))
        except ValueError:
            parser.error(f"--price {text!r}: write MODEL=IN,OUT in dollars per million tokens")
        prices[name] = (into, out)
    return SearchOptions(
        sections=tuple(sections),
        json=given.json,
        models=given.models,
        bank=given.bank,
        model=given.model,
        tasks=given.tasks,
        samples=given.samples,
        max_tokens=given.max_tokens,
        sandbox=given.sandbox,
        prices=prices,
    )


if __name__ == "__main__":
    sys.exit(main())
