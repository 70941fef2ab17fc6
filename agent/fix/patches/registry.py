"""The formats by name, and the reading of an answer: the first format that it has something of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.fix.patches.base import Answer, Format, PatchError, Texts
from agent.fix.patches.blocks import SearchReplace
from agent.fix.patches.diffs import UnifiedDiff
from agent.fix.patches.files import WholeFile
from agent.fix.patches.functions import WholeFunctions
from agent.fix.patches.outline import outline
from verifiers.repository import Snapshot

FORMATS: Mapping[str, tuple[Format, ...]] = {
    "search-replace": (SearchReplace(),),
    "diff": (UnifiedDiff(),),
    # blocks of code: each is a file or functions, and an answer may have both
    "code": (WholeFile(), WholeFunctions()),
}
"""Marked formats before bare code, since those show code in passing."""


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


def read_patch(answer: Answer, texts: Texts) -> Written:
    """The patch in an answer, applied to the files.

    Raises:
        PatchError: there is none, or it can't be applied exactly; the message says why.
    """
    for name, formats in FORMATS.items():
        if sum(one.read(answer, texts) for one in formats):
            made = texts.patch()
            if not made:
                raise PatchError("the patch changes nothing: the code is wrong as it is")
            return Written(made, name)
    cut = " before its end: give less of it" if answer.cut else ""
    raise NoPatchError(f"the answer has no patch in it{cut}: answer with code")


def check_kept(made: Mapping[str, str], snapshot: Snapshot) -> None:
    """Sees to it that no function or class goes away; what is inside of functions may.

    Raises:
        DeletingError: one does.
    """
    for path, text in made.items():
        gone = sorted(_lasting(snapshot.text(path) or "") - {one.name for one in outline(text)})
        if gone:
            raise DeletingError(f"the patch takes {gone[0]} out of {path}: correct it instead")


def _lasting(text: str) -> set[str]:
    """The names of functions and classes that are inside of no function."""
    spots = outline(text)
    inner = tuple(f"{one.name}." for one in spots if one.kind == "function")
    return {one.name for one in spots if not one.name.startswith(inner)}
