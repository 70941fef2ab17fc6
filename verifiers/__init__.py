"""From a program and its tests to a verdict: syntax gate, judge, cache, scorer."""

from .cache import VerdictCache
from .scorer import HiddenScorer
from .verdict import TestResult, Verdict
from .verifier import Verifier

__all__ = ["HiddenScorer", "TestResult", "Verdict", "VerdictCache", "Verifier"]
