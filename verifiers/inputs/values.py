"""Values of a kind that resemble those of the examples: drawn afresh, or made by small changes.

Drawn with a generator of our own and not with Hypothesis: that draws from the constants of
whatever modules are loaded as well, so what it makes hangs on the process and not on the seed.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from verifiers.inputs.kinds import UNKNOWN, Kind

_MOST_ITEMS = 8
_LARGEST = 100
_DEPTH = 4
_USUAL_INTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 50, 99, 100)
_USUAL_LETTERS = "aabbcdeioxyzABZ 12"


@dataclass(frozen=True, slots=True)
class Palette:
    """What the examples' values are made of, so that new ones look like them.

    Attributes:
        ints: that occur, as are floats, characters and whole texts.
        negative: whether a number below 0 occurs.
        longest: items of the longest list that occurs.
    """

    ints: tuple[int, ...] = ()
    floats: tuple[float, ...] = ()
    letters: str = ""
    texts: tuple[str, ...] = ()
    negative: bool = False
    longest: int = 0


def palette(values: Sequence[Any]) -> Palette:
    """The palette of some values, whatever they contain."""
    ints: list[int] = []
    floats: list[float] = []
    texts: list[str] = []
    longest = 0
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if type(value) is int:
            ints.append(value)
        elif type(value) is float:
            floats.append(value)
        elif type(value) is str:
            texts.append(value)
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += list(value)
            longest = max(longest, len(value))
    return Palette(
        ints=tuple(sorted(set(ints))),
        floats=tuple(sorted(set(floats))),
        letters="".join(sorted({letter for text in texts for letter in text})),
        texts=tuple(sorted(set(texts))),
        negative=any(number < 0 for number in (*ints, *floats)),
        longest=longest,
    )


class Maker:
    """Makes values.

    Args:
        draw: what chance there is comes from here.
        colours: what the examples are made of.
    """

    def __init__(self, draw: random.Random, colours: Palette) -> None:
        self._draw = draw
        self._colours = colours

    def value(self, kind: Kind, depth: int = 0) -> Any:
        """A new value of a kind.

        Raises:
            LookupError: it would be nested too deep.
        """
        if depth > _DEPTH:
            raise LookupError(kind.name)
        return getattr(self, f"_{kind.name}")(kind, depth)

    def _unknown(self, _kind: Kind, depth: int) -> Any:
        """What a program refuses all programs refuse; so it costs little to try."""
        kinds = (Kind("int"), Kind("str"), Kind("list", (Kind("int"),)))
        return self.value(self._draw.choice(kinds), depth)

    def _none(self, _kind: Kind, _depth: int) -> None:
        return None

    def _bool(self, _kind: Kind, _depth: int) -> bool:
        return self._draw.random() < 0.5

    def _int(self, _kind: Kind, _depth: int) -> int:
        seen = self._colours.ints
        if seen and self._draw.random() < 0.35:
            return self._draw.choice(seen) + self._draw.choice((0, 0, -1, 1, 2))
        top = max([abs(number) for number in seen if abs(number) < 10_000] or [20])
        chance = self._draw.random()
        if chance < 0.4:
            number = self._draw.choice(_USUAL_INTS)
        else:
            number = self._draw.randint(0, max(top, 5) * (1 if chance < 0.9 else 10))
        return -number if self._colours.negative and self._draw.random() < 0.35 else number

    def _float(self, kind: Kind, depth: int) -> float:
        number = float(self._int(kind, depth))
        return number + self._draw.choice((0.0, 0.5, 0.25, 0.1, 0.75))

    def _str(self, _kind: Kind, _depth: int) -> str:
        texts = self._colours.texts
        if texts and self._draw.random() < 0.25:
            return change_text(self._draw.choice(texts), self._draw, self._colours.letters)
        letters = self._colours.letters or _USUAL_LETTERS
        if self._draw.random() < 0.15:
            letters += _USUAL_LETTERS
        length = self._draw.choice((1, 2, 3, 4, 5, 6, 8, 10, 12))
        return "".join(self._draw.choice(letters) for _ in range(length))

    def _bytes(self, kind: Kind, depth: int) -> bytes:
        return self._str(kind, depth).encode("utf-8", "replace")

    def _length(self) -> int:
        return self._draw.randint(0 if self._draw.random() < 0.2 else 1, _MOST_ITEMS)

    def _list(self, kind: Kind, depth: int) -> list[Any]:
        return [self.value(_only(kind), depth + 1) for _ in range(self._length())]

    def _tuple(self, kind: Kind, depth: int) -> tuple[Any, ...]:
        if kind.open or not kind.parts:
            return tuple(self._list(kind, depth))
        return tuple(self.value(part, depth + 1) for part in kind.parts)

    def _set(self, kind: Kind, depth: int) -> set[Any]:
        return set(self._list(kind, depth))

    def _dict(self, kind: Kind, depth: int) -> dict[Any, Any]:
        key, item = kind.parts if len(kind.parts) == 2 else (Kind("str"), Kind("int"))
        return {
            self.value(key, depth + 1): self.value(item, depth + 1) for _ in range(self._length())
        }

    def _union(self, kind: Kind, depth: int) -> Any:
        return self.value(self._draw.choice(kind.parts), depth)


def _only(kind: Kind) -> Kind:
    return kind.parts[0] if kind.parts and kind.parts[0] != UNKNOWN else Kind("int")


def change_text(text: str, draw: random.Random, letters: str) -> str:
    """A text with one letter put in, left out, or replaced."""
    letters = letters or string.ascii_lowercase
    place = draw.randint(0, len(text))
    cut = draw.choice((0, 1))
    return text[:place] + draw.choice(("", draw.choice(letters))) + text[place + cut :]


def loosened(kind: Kind) -> Kind:
    """The kind of a parameter that nobody annotated: an int may as well be a float now and then."""
    if kind.name == "int":
        return Kind("union", (kind, kind, kind, kind, Kind("float")))
    return Kind(kind.name, tuple(loosened(part) for part in kind.parts), kind.open)


def changes(
    value: Any, draw: random.Random, colours: Palette, *, loose: bool = False
) -> Iterator[Any]:
    """Small changes of a value: boundaries, empty, turned round, doubled ...

    Args:
        value: to change.
        draw: what chance there is comes from here.
        colours: what the examples are made of.
        loose: whether an int may become a float, since nothing says that it may not.
    """
    if loose and type(value) is int:
        yield value + 0.5
    if type(value) is bool:
        yield not value
    elif type(value) is int:
        yield from _changed_ints(value, draw, colours)
    elif type(value) is float:
        yield from (value + 0.5, value / 2, 0.0, -value, value + 1, round(value), value * 10)
    elif type(value) is str:
        yield from _changed_texts(value, draw, colours)
    elif type(value) in (list, tuple):
        make = type(value)
        for items in _changed_lists(list(value), draw, colours, loose=loose):
            yield make(items)
    elif type(value) is dict:
        yield from _changed_dicts(value, draw, colours)
    elif type(value) is set:
        yield set()
        yield from (value - {item} for item in sorted(value, key=repr)[:2])


def _changed_ints(value: int, draw: random.Random, colours: Palette) -> Iterator[int]:
    yield from (value + 1, value - 1, value + 2, 0, 1, 2, value * 2, value // 2, value * 10)
    if abs(value) > _LARGEST:
        digits = list(str(abs(value)))
        draw.shuffle(digits)
        yield int("".join(digits))
    yield draw.randint(0, max(20, min(abs(value) * 2, 10_000)))
    yield from colours.ints[:4]
    yield from range(3, 13)
    yield from (value + 3, value + 5, value * 3, 17, 25, 36, 64, 81, 100)
    yield -value


def _changed_texts(text: str, draw: random.Random, colours: Palette) -> Iterator[str]:
    yield from (text[1:], text[:-1], text[::-1], text + text, "", text[:1])
    for _ in range(5):
        yield change_text(text, draw, colours.letters)
    words = text.split(" ")
    if len(words) > 1:
        yield " ".join(words[::-1])
        yield " ".join(words[:-1])
        yield "  ".join(words)
    letters = list(text)
    draw.shuffle(letters)
    yield "".join(letters)
    yield text.swapcase()
    yield text.upper()
    yield text + text[:1]


def _changed_lists(
    items: list[Any], draw: random.Random, colours: Palette, *, loose: bool
) -> Iterator[list[Any]]:
    yield from (items[1:], items[:-1], items[::-1], items + items, [], items[:1])
    if not items:
        return
    for _ in range(5):
        place = draw.randrange(len(items))
        others = list(changes(items[place], draw, colours, loose=loose))
        if others:
            yield [*items[:place], draw.choice(others), *items[place + 1 :]]
    shuffled = list(items)
    draw.shuffle(shuffled)
    yield shuffled
    yield [*items, items[0]]
    yield [items[0]] * 3
    if all(type(item) in (int, float) for item in items):
        yield sorted(items)
        if loose:
            yield [*items[:-1], items[-1] + 0.5]
        yield [*items[:-1], -items[-1]]
        yield [-item for item in items]
        yield [*items, draw.choice(_USUAL_INTS)]
        yield [item + 1 for item in items]


def _changed_dicts(value: dict[Any, Any], draw: random.Random, colours: Palette) -> Iterator[Any]:
    yield {}
    for key in list(value)[:2]:
        yield {other: item for other, item in value.items() if other != key}
        for item in list(changes(value[key], draw, colours))[:3]:
            yield {**value, key: item}
        for other in list(changes(key, draw, colours))[:3]:
            yield {**value, other: value[key]}
