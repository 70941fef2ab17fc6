"""What a patch does otherwise than the code before it, on inputs of tests and on others."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agent.fix.validation.harness import Seen
from agent.fix.validation.inputs import Input, Origin

_SHOWN = 3
_BAD = frozenset({"raised", "hang"})
_UNKNOWN = frozenset({"lost", "unready"})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(_Frozen):
    """How many of some inputs, and on how many of them something holds."""

    hits: int = 0
    all: int = 0

    @property
    def value(self) -> float:
        """In [0, 1]; 0 where there are none."""
        return self.hits / self.all if self.all else 0.0

    def __str__(self) -> str:
        return f"{self.hits} of {self.all}"


class Difference(_Frozen):
    """One input on which two versions differ, for people.

    Attributes:
        call: with its arguments.
        results: what it gives: of each version, its name and the result.
    """

    call: str
    results: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.call}: {'; '.join(f'{who}: {what}' for who, what in self.results)}"


class Behaviour(_Frozen):
    """A patch against the code before it.

    Attributes:
        kept: inputs of passing tests on which the result changed.
        turned: inputs of failing tests on which it changed.
        near: inputs like those of failing tests, likewise.
        elsewhere: inputs like those of passing tests, and others, likewise.
        gained: new inputs on which it changed as on those of failing tests: to a value, or to an
            exception.
        cured: new inputs on which the old code raised or hung and the new one gives a value.
        harmed: new inputs on which the old code gave a value and the new one raises or hangs.
        altered: new inputs on which it gives a value, and another one than before.
        crashed: whether all that changed on failing tests' inputs is what raised or hung before.
        hangs: inputs on which the new code hangs.
        boundary: whether the failing tests use nothing but empty values and small numbers, so that
            a patch for just those may be what is meant.
        examples: inputs on which the two differ, those of tests left out.
        lost: whether nothing is known of much.
    """

    kept: Share = Share()
    turned: Share = Share()
    near: Share = Share()
    elsewhere: Share = Share()
    gained: int = 0
    cured: int = 0
    harmed: int = 0
    altered: int = 0
    crashed: bool = False
    hangs: int = 0
    boundary: bool = False
    examples: tuple[Difference, ...] = ()
    lost: bool = False

    @property
    def generated(self) -> int:
        """Inputs that no test used."""
        return self.near.all + self.elsewhere.all

    @property
    def spread(self) -> Share:
        """Inputs that no test used, and on how many of them the patch makes a difference."""
        return Share(hits=self.near.hits + self.elsewhere.hits, all=self.generated)


def compare(inputs: Sequence[Input], old: Sequence[Seen], new: Sequence[Seen]) -> Behaviour:
    """A patch against the code before it.

    Args:
        inputs: that both were called with.
        old: what the code before gives.
        new: what the patched code gives.
    """
    counts = {origin: [0, 0] for origin in Origin}
    gained = cured = harmed = altered = hangs = lost = 0
    crashed: list[bool] = []
    wanted = {
        after.kind
        for given, after in zip(inputs, new, strict=True)
        if given.origin is Origin.FAILING
    }
    examples: list[Difference] = []
    for given, before, after in zip(inputs, old, new, strict=True):
        if before.kind in _UNKNOWN:
            continue  # there is nothing to compare with
        if after.kind in _UNKNOWN:
            lost += 1
            continue
        differs = (before.kind, before.digest) != (after.kind, after.digest)
        counts[given.origin][0] += differs
        counts[given.origin][1] += 1
        hangs += after.kind == "hang"
        if differs and given.origin is Origin.FAILING:
            crashed.append(before.kind in _BAD and after.kind == "value")
        if not given.origin.recorded:
            gained += differs and after.kind in wanted
            cured += before.kind in _BAD and after.kind == "value"
            altered += differs and before.kind == after.kind == "value"
            harmed += before.kind == "value" and after.kind in _BAD
            if differs and len(examples) < _SHOWN:
                examples.append(difference(given, {"before": before, "after": after}))
    shares = {one: Share(hits=hits, all=every) for one, (hits, every) in counts.items()}
    around, fresh = shares[Origin.AROUND], shares[Origin.FRESH]
    return Behaviour(
        kept=shares[Origin.PASSING],
        turned=shares[Origin.FAILING],
        near=shares[Origin.NEAR],
        elsewhere=Share(hits=around.hits + fresh.hits, all=around.all + fresh.all),
        gained=gained,
        cured=cured,
        harmed=harmed,
        altered=altered,
        crashed=bool(crashed) and all(crashed),
        hangs=hangs,
        boundary=all(one.small for one in inputs if one.origin is Origin.FAILING),
        examples=tuple(examples),
        lost=lost * 4 > len(inputs),
    )


def telling(
    inputs: Sequence[Input], chosen: Sequence[Seen], other: Sequence[Seen]
) -> tuple[int, ...]:
    """Places of the inputs that no test used on which two patches differ, where that tells.

    Where the chosen one gives no value, the input may be one that nobody means: it tells nothing.

    Args:
        inputs: that both were called with.
        chosen: what the one gives.
        other: what the other one gives.
    """
    return tuple(
        place
        for place, (given, one, two) in enumerate(zip(inputs, chosen, other, strict=True))
        if not given.origin.recorded
        and one.kind == "value"
        and two.kind not in _UNKNOWN
        and (one.kind, one.digest) != (two.kind, two.digest)
    )


def difference(given: Input, results: dict[str, Seen]) -> Difference:
    """One input, with what each version gives."""
    shown = tuple((who, told(seen)) for who, seen in results.items())
    return Difference(call=given.text, results=shown)


def told(seen: Seen) -> str:
    """A result in words."""
    if seen.kind == "raised":
        return f"raises {seen.preview}"
    if seen.kind == "hang":
        return "does not end"
    return seen.preview if seen.kind == "value" else f"{seen.kind} {seen.preview}".strip()
