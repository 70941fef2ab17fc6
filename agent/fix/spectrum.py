"""How suspicious what failing and passing tests execute is: the formulas of the field, by name.

Ochiai: Abreu, Zoeteweij and van Gemund, "On the Accuracy of Spectrum-based Fault Localization",
2007. DStar, with the exponent 2 that its authors recommend: Wong, Debroy, Gao and Li, "The DStar
Method for Effective Software Fault Localization", 2014. Tarantula: Jones and Harrold, "Empirical
Evaluation of the Tarantula Automatic Fault-Localization Technique", 2005.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

Formula = Callable[[int, int, int, int], float]
"""From the failing and the passing tests that execute a place, and all failing and passing ones."""


class FormulaName(StrEnum):
    """What a formula is asked for by."""

    OCHIAI = "ochiai"
    DSTAR = "dstar"
    TARANTULA = "tarantula"


def ochiai(failed: int, passed: int, failing: int, _passing: int) -> float:
    """The cosine between being executed and failing, in [0, 1]."""
    return failed / math.sqrt(max(1, failing) * (failed + passed)) if failed else 0.0


def dstar(failed: int, passed: int, failing: int, _passing: int) -> float:
    """`failed`² over all that speaks against the place; in [0, `failing`² + 1]."""
    against = passed + failing - failed
    # a place that nothing speaks against is above all others
    return failed**2 / against if against else float(failed**2 + 1)


def tarantula(failed: int, passed: int, failing: int, passing: int) -> float:
    """The share of failing tests, over that and the share of passing ones; in [0, 1]."""
    bad = failed / max(1, failing)
    good = passed / max(1, passing)
    return bad / (bad + good) if bad else 0.0


def formula(name: FormulaName) -> Formula:
    """The formula of a name."""
    return {
        FormulaName.OCHIAI: ochiai,
        FormulaName.DSTAR: dstar,
        FormulaName.TARANTULA: tarantula,
    }[name]
