"""What the reading of bare code has to know of the language that it is in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.fix.patches.outline import Spot


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced block that defines something.

    Attributes:
        path: of the file that it is said to be of, or empty.
        lines: without what was indented in common.
        spots: the functions and classes in it.
        parts: the names of those that it replaces: a class that has only methods is its methods.
        imports: the statements by which it imports.
        rest: the first line, from 1, of what is neither definition nor import; 0 if there is none.
        inner: whether it has members of a class, without that.
    """

    path: str
    lines: tuple[str, ...]
    spots: tuple[Spot, ...]
    parts: tuple[str, ...]
    imports: tuple[str, ...] = ()
    rest: int = 0
    inner: bool = False

    @property
    def names(self) -> set[str]:
        """The functions and classes that it defines at its top."""
        return top_names(self.spots)


class Grammar(Protocol):
    """One language.

    Attributes:
        endings: of the names of its files.
        gap: blank lines between functions that are in no class.
    """

    endings: tuple[str, ...]
    gap: int

    def outline(self, text: str) -> tuple[Spot, ...]:
        """All functions and classes of a text, those in others behind these. It takes any text."""
        ...

    def bound(self, text: str) -> set[str]:
        """What may be asked of a file by name: its functions and classes, and what stands in."""
        ...

    def defines(self, lines: Sequence[str]) -> bool:
        """Whether a block looks as if it defined something; others are commands, or examples."""
        ...

    def read(self, path: str, lines: Sequence[str], *, inner: bool) -> Code:
        """Reads a block that defines something.

        Args:
            path: that is named with it, or empty.
            lines: without what was indented in common.
            inner: whether that was anything.

        Raises:
            PatchError: it breaks the grammar.
        """
        ...

    def in_strings(self, lines: Sequence[str]) -> tuple[set[int], set[int]]:
        """Lines, from 0, that begin inside of a string; and those that do in a docstring."""
        ...

    def instead(self, new: Sequence[str], old: Sequence[str]) -> list[str]:
        """A function's new lines as they have to be in the place of the old ones.

        Raises:
            PatchError: they can't stand there.
        """
        ...

    def missing(self, code: Code, text: str) -> tuple[int, list[str]]:
        """The imports of a block that a file lacks, behind the line, from 1, where they belong.

        Raises:
            PatchError: they don't go with the file.
        """
        ...


def top_names(spots: Iterable[Spot]) -> set[str]:
    """The names of functions and classes that are in no other."""
    return {one.name for one in spots if not one.depth}
