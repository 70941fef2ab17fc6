"""Writes docs/hacks.md: python tests/hacks/table.py > docs/hacks.md"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

# As a script this file lies on the path before the package that it belongs to.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [
    str(_HERE.parent.parent),
    *(part for part in sys.path if Path(part).resolve() != _HERE),
]

from tests.hacks.catalogue import BACKENDS, Entry, Gap, Hack, families  # noqa: E402

_HEAD = """# Hacks and controls

Programs that try to be taken for right ones, to get out, or to take more than their share, and
right programs in unusual dress. The tests under `tests/hacks` run each of them on every backend: a
hack must end with one of the outcomes in its row, never with `passed`, and a control must pass.
A gap is a wrong program that does pass, where [repositories.md](repositories.md) says so.
After each of them a plain program must still pass where it has run, and a wrong one still fail;
after each family the host is searched for processes, files, sockets and containers that were left.

This page is made from the catalogue by `python tests/hacks/table.py > docs/hacks.md`.
"""


def lines() -> Iterator[str]:
    """The page, line by line."""
    yield from _HEAD.splitlines()
    for family, entries in families().items():
        hacks = sum(isinstance(entry, Hack) for entry in entries)
        gaps = sum(isinstance(entry, Gap) for entry in entries)
        counts = [(hacks, "hack"), (len(entries) - hacks - gaps, "control"), (gaps, "gap")]
        told = ", ".join(f"{count} {what}{'s' * (count > 1)}" for count, what in counts if count)
        yield from ("", f"## {family.capitalize()} ({told})", "")
        yield "| program | what it does | must end as |"
        yield "|---|---|---|"
        yield from map(_row, entries)


def _row(entry: Entry) -> str:
    ending = "`passed`: a gap" if isinstance(entry, Gap) else "`passed`"
    if isinstance(entry, Hack):
        ending = ", ".join(f"`{outcome}`" for outcome in sorted(entry.outcomes))
    if entry.backends != BACKENDS:
        ending += f" ({', '.join(entry.backends)} only)"
    cells = (entry.name, entry.idea, ending)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    print("\n".join(lines()))
