"""Inputs to compare versions of a function on: those that tests used, and others like them.

Values come as `inside.values` writes them down. What is no builtin value stays as it was written,
and is changed in one of its attributes at the most; nothing is made of it here.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from agent.fix.validation.difference import FunctionNode
from agent.fix.validation.encoded import Arguments, Opaque, given_of, pair_of, to_data, to_value
from verifiers.inputs.kinds import UNKNOWN, Kind, of_annotation, of_values, refine
from verifiers.inputs.values import Maker, Palette, changes, palette

_RECORDED = 40
"""Recorded inputs of a function, of passing and of failing tests each."""
_NEAR, _AROUND, _FRESH = 60, 40, 40
"""Inputs of a function: changed ones of failing tests, of passing ones, and those drawn afresh."""
_LONGEST = 3000
_ATTEMPTS = 6


class Origin(StrEnum):
    """Where an input came from.

    PASSING: a passing test used it.
    FAILING: a failing test used it.
    NEAR: one that a failing test used, with a small change.
    AROUND: one that a passing test used, with a small change.
    FRESH: drawn from annotations and from what all of those are made of.
    """

    PASSING = "passing"
    FAILING = "failing"
    NEAR = "near"
    AROUND = "around"
    FRESH = "fresh"

    @property
    def recorded(self) -> bool:
        """Whether a test used it."""
        return self in (Origin.PASSING, Origin.FAILING)


@dataclass(frozen=True, slots=True)
class Input:
    """One input.

    Attributes:
        function: `module:qualified name`.
        given: its arguments, encoded: a pair of a list and a dictionary.
        origin: where it came from.
    """

    function: str
    given: Any
    origin: Origin

    @property
    def small(self) -> bool:
        """Whether it is made of empty values, truths and numbers up to one."""
        arguments, named = pair_of(self.given)
        return all(map(_is_small, (*arguments, *named.values())))

    @property
    def text(self) -> str:
        """As a call, for people."""
        arguments, named = pair_of(self.given)
        parts = [_shown(one) for one in arguments]
        parts += [f"{key}={_shown(value)}" for key, value in named.items()]
        return f"{self.function.rpartition(':')[2]}({', '.join(parts)})"


def make_inputs(
    function: str,
    passing: Sequence[Any],
    failing: Sequence[Any],
    node: FunctionNode | None,
    *,
    seed: int = 0,
) -> tuple[Input, ...]:
    """Inputs of one function: all recorded ones, and new ones of three origins.

    Args:
        function: `module:qualified name`.
        passing: encoded arguments that passing tests used.
        failing: encoded arguments that failing tests used.
        node: the function, for its annotations.
        seed: of what is drawn by lot.
    """
    draw = random.Random(f"{seed}:{function}")
    known: dict[str, Input] = {}

    def add(givens: Iterator[Any], origin: Origin, most: int) -> None:
        room = len(known) + most
        for given in givens:
            text = json.dumps(given)
            if text not in known and len(text) <= _LONGEST:
                known[text] = Input(function, given, origin)
            if len(known) >= room:
                break

    add(iter(failing), Origin.FAILING, _RECORDED)
    add(iter(passing), Origin.PASSING, _RECORDED)
    wrong, right = [pair_of(one) for one in failing], [pair_of(one) for one in passing]
    every = [*wrong, *right]
    colours = palette(
        [value for arguments, named in every for value in (*arguments, *named.values())]
    )
    add(_changed(wrong, draw, colours), Origin.NEAR, _NEAR)
    add(_changed(right, draw, colours), Origin.AROUND, _AROUND)
    add(_fresh(every, node, draw, colours), Origin.FRESH, _FRESH)
    return tuple(known.values())


def _changed(found: Sequence[Arguments], draw: random.Random, colours: Palette) -> Iterator[Any]:
    """Each with one argument changed, in turns."""
    rows = [list(_changes(one, draw, colours)) for one in found[:_RECORDED]]
    for row in rows:
        draw.shuffle(row)
    while any(rows):
        for row in rows:
            if row:
                yield row.pop()


def _changes(given: Arguments, draw: random.Random, colours: Palette) -> Iterator[Any]:
    arguments, named = given
    for place, value in enumerate(arguments):
        for other in _other(value, draw, colours):
            yield given_of([*arguments[:place], other, *arguments[place + 1 :]], named)
    for key, value in named.items():
        for other in _other(value, draw, colours):
            yield given_of(arguments, {**named, key: other})


def _other(value: Any, draw: random.Random, colours: Palette) -> Iterator[Any]:
    # an object in place of a number, an infinite one, an encoded object that is none
    with contextlib.suppress(TypeError, ValueError, OverflowError, LookupError):
        if isinstance(value, Opaque):
            yield from _other_state(value, draw, colours)
        else:
            yield from changes(value, draw, colours)


def _other_state(value: Opaque, draw: random.Random, colours: Palette) -> Iterator[Opaque]:
    """An object with one of the builtin values in it changed."""
    data = json.loads(value.text)
    if data[0] != "o":
        return
    for path in islice(_leaves(data, ()), 12):
        leaf = data
        for step in path:
            leaf = leaf[step]
        for other in islice(_other(to_value(leaf), draw, colours), 4):
            copy = json.loads(value.text)
            at = copy
            for step in path[:-1]:
                at = at[step]
            at[path[-1]] = to_data(other)
            yield Opaque(json.dumps(copy))


def _leaves(data: Any, path: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Where in an object's text builtin values stand."""
    if not isinstance(data, list):
        if data is not None:
            yield path
    elif data[0] == "o":
        for place, (_, part) in enumerate(data[3]):
            yield from _leaves(part, (*path, 3, place, 1))
    elif data[0] in ("l", "t"):
        if data[0] == "l":
            yield path
        for place, part in enumerate(data[1]):
            yield from _leaves(part, (*path, 1, place))
    elif data[0] == "d":
        for place, (_, part) in enumerate(data[1]):
            yield from _leaves(part, (*path, 1, place, 1))


def _fresh(
    found: Sequence[Arguments], node: FunctionNode | None, draw: random.Random, colours: Palette
) -> Iterator[Any]:
    """Values of the kinds that annotations and recorded values have, or recorded ones, mixed."""
    if not found:
        return
    maker = Maker(draw, colours)
    annotations = _annotations(node)
    sizes = sorted({len(arguments) for arguments, _ in found})
    for _ in range(_FRESH * _ATTEMPTS):
        size = draw.choice(sizes)
        like = [one for one in found if len(one[0]) == size]
        arguments: list[Any] = []
        with contextlib.suppress(LookupError, TypeError, ValueError, OverflowError):
            for place in range(size):
                seen = [one[0][place] for one in like]
                kind = refine(annotations.get(place, UNKNOWN), of_values(seen))
                arguments.append(_value(kind, seen, maker, draw))
            yield given_of(arguments, draw.choice(like)[1])


def _value(kind: Kind, seen: Sequence[Any], maker: Maker, draw: random.Random) -> Any:
    if _is_unknown(kind) or draw.random() < 0.15:
        return draw.choice(seen)
    return maker.value(kind)


def _is_unknown(kind: Kind) -> bool:
    return kind == UNKNOWN or any(map(_is_unknown, kind.parts))


def _annotations(node: FunctionNode | None) -> Mapping[int, Kind]:
    if node is None:
        return {}
    positional = [*node.args.posonlyargs, *node.args.args]
    return {place: of_annotation(one.annotation) for place, one in enumerate(positional)}


def _is_small(value: Any) -> bool:
    if isinstance(value, int | float):
        return abs(value) <= 1
    if isinstance(value, list | tuple):
        return len(value) <= 1 and all(map(_is_small, value))
    return not isinstance(value, Opaque) and not value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
