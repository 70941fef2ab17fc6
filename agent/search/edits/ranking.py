"""Which edits come first: by what others of their kind were worth, and where things go wrong."""

from __future__ import annotations

from agent.search.edits.priors import GUESSES, LEAST, PRIORS
from agent.search.edits.source import Change
from agent.search.edits.symptoms import Symptoms

_BLAMED = 3.0
"""A line of a traceback, over any other line."""
_TOLD = 3.0
"""A kind that fits the way in which got and expected differ, over any other kind."""
_FITS: dict[str, tuple[str, ...]] = {
    "near": ("constant", "range", "comparison.boundary", "slice", "index", "guard"),
    "none": ("flow", "guard", "constant.none"),
    "type": ("wrap", "arithmetic", "constant.none", "name.function", "flow", "guard"),
    "truth": ("comparison", "boolean", "constant.truth", "flow", "guard", "range"),
    "sign": ("swap", "boolean.unary", "wrap.return", "arithmetic"),
    "case": ("wrap", "name.method"),
    "order": ("wrap", "swap", "range.backwards", "comparison.turned"),
    "longer": ("wrap", "range", "slice", "comparison", "flow", "guard"),
    "shorter": ("flow", "range", "slice", "comparison", "constant", "guard"),
    "elements": ("wrap", "arithmetic", "name", "swap", "index", "constant"),
    "number": ("range", "constant", "comparison", "arithmetic", "name", "wrap"),
    "raises": (
        *("guard", "import", "range", "index", "wrap", "name", "comparison.boundary"),
        *("exception", "argument", "decorator", "order.swapped"),
    ),
    "endless": ("arithmetic", "comparison", "constant", "flow", "name", "guard"),
}


def score(change: Change, found: Symptoms) -> float:
    """How much is to be hoped of a change; the scale means nothing."""
    value = PRIORS.get(change.kind, GUESSES.get(change.kind, LEAST))
    if change.line in found.lines:
        value *= _BLAMED
    if any(change.kind.startswith(_FITS.get(sign, ())) for sign in found.signs):
        value *= _TOLD
    return value
