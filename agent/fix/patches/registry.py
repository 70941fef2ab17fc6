"""The formats by name, and the reading of an answer: the first format that it has something of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.fix.patches.base import Answer, Format, PatchError, Texts
from agent.fix.patches.blocks import SearchReplace
from agent.fix.patches.diffs import UnifiedDiff
from agent.fix.patches.files import WholeFile
from agent.fix.patches.functions import WholeFunctions
from agent.fix.patches.grammar import Grammar
from agent.fix.patches.outline import Spot
from agent.fix.patches.python import PYTHON_GRAMMAR
from verifiers.repository import Snapshot

FORMATS: Mapping[str, Format] = {"search-replace": SearchReplace(), "diff": UnifiedDiff()}
"""Those that are marked, and so can be read in any language."""


class NoPatchError(PatchError):
    """An answer has nothing of any format: words only."""


class DeletingError(PatchError):
    """A patch takes a function away that is there."""


@dataclass(frozen=True, slots=True)
class Written:
    """A patch that was read.

    Attributes:
        texts: whole new texts by path.
        format: in which it was written.
    """

    texts: Mapping[str, str]
    format: str


def formats(grammar: Grammar | None) -> Iterator[tuple[str, tuple[Format, ...]]]:
    """All formats; marked ones before bare code, since those show code in passing."""
    for name, one in FORMATS.items():
        yield name, (one,)
    if grammar is not None:
        # blocks of code: each is a file or functions, and an answer may have both
        yield "code", (WholeFile(grammar), WholeFunctions(grammar))


def read_patch(answer: Answer, texts: Texts, grammar: Grammar | None = PYTHON_GRAMMAR) -> Written:
    """The patch in an answer, applied to the files.

    Args:
        answer: a model's.
        texts: the files.
        grammar: of the language that they are in; `None` reads no bare code.

    Raises:
        PatchError: there is none, or it can't be applied exactly; the message says why.
    """
    for name, found in formats(grammar):
        if sum(one.read(answer, texts) for one in found):
            made = texts.patch()
            if not made:
                raise PatchError("the patch changes nothing: the code is wrong as it is")
            return Written(made, name)
    cut = " before its end: give less of it" if answer.cut else ""
    raise NoPatchError(f"the answer has no patch in it{cut}: answer with code")


def check_kept(
    made: Mapping[str, str], snapshot: Snapshot, grammar: Grammar = PYTHON_GRAMMAR
) -> None:
    """Sees to it that no function or class goes away; what is inside of functions may.

    Raises:
        DeletingError: one does.
    """
    for path, text in made.items():
        before = grammar.outline(snapshot.text(path) or "")
        gone = sorted({one.name for one in _lasting(before)} - grammar.bound(text))
        if gone:
            raise DeletingError(f"the patch takes {gone[0]} out of {path}: correct it instead")


def _lasting(spots: Sequence[Spot]) -> Iterator[Spot]:
    """Functions and classes that are inside of no function."""
    functions = [one for one in spots if one.kind == "function"]
    return (one for one in spots if not any(_is_in(one, other) for other in functions))


def _is_in(one: Spot, other: Spot) -> bool:
    return other.depth < one.depth and other.first <= one.first and one.stop <= other.stop
