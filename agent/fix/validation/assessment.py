"""From what is known of a patch to a place among others, and to `validated` or `plausible`."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agent.fix.validation.behaviour import Behaviour, Difference
from agent.fix.validation.flags import Flag, Weight

_LEAST_INPUTS = 20
"""Inputs that no test used, below which behaviour is no evidence."""
_LEAST_RECORDED = 3
"""Inputs that tests use, below which, or where none is of a passing test, fewer small edits of a
patch may pass the suite."""
_LEAST_SPREAD = 3
"""Inputs that no test used on which a patch has to make a difference, lest it be a special case."""
_LEAST_NEIGHBOURS = 5
_SURVIVING = 0.15
"""Share of small edits that may pass the suite. `bench/fix_validation.py` has it from true fixes (0
to 0.16) and a wrong patch (0.19)."""
_SURVIVING_ALONE = 0.1
"""Likewise where the tests hardly call what is changed, so that little else speaks for a patch: set
by the first ten repairs of `bench/fix_mutants.py`, where true ones have 0 to 0.07."""
_ALTERED = 0.05
"""Share of new inputs on which a repair of a crash may give another value than there was before: in
`bench/fix_validation.py` 0 to 0.024 of true fixes, 0.3 of a wrong patch that all else spoke for."""
_HARMED = 0.1


class Confidence(StrEnum):
    """How far a patch that passes the suite is to be believed.

    VALIDATED: more than the suite speaks for it, and nothing that was looked at against it.
    PLAUSIBLE: the suite is all the evidence, or something speaks against it.
    """

    VALIDATED = "validated"
    PLAUSIBLE = "plausible"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Assessment(_Frozen):
    """What is known of one of several patches.

    Attributes:
        number: its place among those that were given, from 0.
        size: nodes of the syntax tree that it adds or takes away.
        flags: what its syntax says against it.
        behaviour: against the code before it; `None` if no call could be recorded.
        group: the number of the first patch that does the same on all inputs.
        alike: how many do, itself included.
    """

    number: int
    size: int
    flags: tuple[Flag, ...] = ()
    behaviour: Behaviour | None = None
    group: int = 0
    alike: int = 1

    def has(self, weight: Weight) -> bool:
        """Whether one of its flags weighs so much."""
        return any(one.weight is weight for one in self.flags)

    @property
    def learned(self) -> bool:
        """Whether it changes nothing but what the failing tests ask, as far as one can see."""
        found = self.behaviour
        return found is not None and found.generated >= _LEAST_INPUTS and not found.gained

    @property
    def dishonest(self) -> bool:
        """Whether it is for the failing tests' own inputs, or does what no repair needs."""
        boundary = self.behaviour is not None and self.behaviour.boundary
        return self.has(Weight.CHEAT) or (self.learned and not boundary)


class Evidence(_Frozen):
    """What other patches say of the chosen one.

    Attributes:
        agreeing: other patches that pass the suite and do the same on all inputs.
        rivals: those that do something else on an input that no test used.
        neighbours: small edits of it that do so, and on which the suite was tried.
        survived: those of them that pass the suite.
        alike: small edits that do the same on all inputs.
        differing: inputs on which another patch that passes the suite does something else.
        doubt: what else speaks against it, or nothing.
    """

    agreeing: int = 0
    rivals: int = 0
    neighbours: int = 0
    survived: int = 0
    alike: int = 0
    differing: tuple[Difference, ...] = ()
    doubt: str = ""


class Decision(_Frozen):
    """How far a patch is to be believed, and why.

    Attributes:
        confidence: `validated` or `plausible`.
        why: what speaks for and against it, in words.
        differing: inputs on which other patches that pass the suite do something else.
    """

    confidence: Confidence = Confidence.PLAUSIBLE
    why: tuple[str, ...] = ()
    differing: tuple[Difference, ...] = ()


def order(one: Assessment) -> tuple[object, ...]:
    """What patches are sorted by, the best first.

    A patch that has learned the failing test by heart comes behind every one that has not, unless
    that test is of a boundary.
    """
    found = one.behaviour or Behaviour()
    return (
        one.has(Weight.CHEAT),
        one.dishonest,
        found.lost,
        found.kept.hits > 0,
        one.has(Weight.DOUBT),
        found.hangs > 0,
        found.harmed > _HARMED * max(1, found.generated),
        one.learned,
        found.gained < _LEAST_SPREAD,
        -one.alike,
        one.size,
        one.number,
    )


def decide(one: Assessment, evidence: Evidence, *, proven: bool, tried: bool = True) -> Decision:
    """How far a patch is to be believed.

    Args:
        one: what is known of it.
        evidence: what others say of it.
        proven: whether it passed in a fresh sandbox.
        tried: whether small edits of it were tried; `False` asks whether that would be worth it.
    """
    against = list(_against(one, evidence, proven=proven))
    if tried and not against:
        against += _against_suite(one, evidence)
    return Decision(
        confidence=Confidence.PLAUSIBLE if against else Confidence.VALIDATED,
        why=(*_support(one, evidence), *against, *_notes(one)),
        differing=evidence.differing,
    )


def _against(one: Assessment, evidence: Evidence, *, proven: bool) -> list[str]:
    """Reasons not to call it validated."""
    found: list[str] = []
    if not proven:
        found.append("it was not run again in a fresh sandbox")
    found += [f"it {flag}" for flag in one.flags if flag.weight is not Weight.NOTE]
    found += [evidence.doubt] if evidence.doubt else []
    seen = one.behaviour
    if seen is None:
        return [
            *found,
            "its functions could not be called with values, so the suite is all there is",
        ]
    if seen.lost:
        found.append("most of its results on new inputs were lost")
    if not seen.turned.all:
        found.append("no call of the failing tests could be recorded")
    elif not seen.turned.hits:
        found.append("it changes no result of a call that the failing tests make")
    if seen.kept.hits:
        found.append(
            f"it changes {seen.kept} results that passing tests get, which they don't check"
        )
    if seen.generated < _LEAST_INPUTS:
        found.append(f"only {seen.generated} inputs could be made that no test uses")
    elif seen.gained < _LEAST_SPREAD:
        found.append(
            "it makes a difference on the failing tests' inputs, and on"
            f" {seen.gained} of {seen.generated} others: a special case"
        )
    if seen.hangs:
        found.append(f"it does not end on {seen.hangs} inputs")
    if seen.harmed > _HARMED * max(1, seen.generated):
        found.append(f"it raises or hangs on {seen.harmed} inputs that gave a value before")
    if seen.crashed and seen.altered > _ALTERED * seen.generated:
        found.append(
            f"the failing tests ask for an answer where there was none, and it gives {seen.altered}"
            " other answers where there was one"
        )
    if evidence.rivals:
        found.append(
            f"{evidence.rivals} other patches that pass the suite do something else on an input"
        )
    return found


def _against_suite(one: Assessment, evidence: Evidence) -> list[str]:
    """Reasons to think that the suite would have taken a wrong patch, too."""
    if evidence.neighbours < _LEAST_NEIGHBOURS:
        return [f"only {evidence.neighbours} small edits of it could be tried on the suite"]
    few = _hardly_called(one)
    surviving = _SURVIVING_ALONE if few else _SURVIVING
    if evidence.survived > surviving * evidence.neighbours:
        beside = ["the tests hardly call what it changes"] if few else []
        return [
            *beside,
            f"{evidence.survived} of {evidence.neighbours} small edits of it pass the suite too,"
            " though they do something else",
        ]
    return []


def _hardly_called(one: Assessment) -> bool:
    seen = one.behaviour
    return seen is None or not seen.kept.all or seen.kept.all + seen.turned.all < _LEAST_RECORDED


def _support(one: Assessment, evidence: Evidence) -> list[str]:
    found: list[str] = []
    seen = one.behaviour
    if seen is not None and seen.kept.all and not seen.kept.hits:
        found.append(f"on {seen.kept.all} inputs of passing tests its results are as before")
    if seen is not None and seen.generated:
        found.append(
            f"on {seen.spread} inputs that no test uses it makes a difference"
            f" (near the failing ones {seen.near}, elsewhere {seen.elsewhere};"
            f" {seen.cured} raised or hung before)"
        )
    if evidence.agreeing:
        found.append(f"{evidence.agreeing} other patches that pass the suite do the same")
    if evidence.neighbours:
        killed = evidence.neighbours - evidence.survived
        found.append(f"the suite refuses {killed} of {evidence.neighbours} small edits of it")
    return found


def _notes(one: Assessment) -> list[str]:
    return [f"it {flag}" for flag in one.flags if flag.weight is Weight.NOTE]
