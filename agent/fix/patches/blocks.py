"""Search/replace blocks: lines that are there once, and what comes in their place.

path/to/file.py
<<<<<<< SEARCH
...
=======
...
>>>>>>> REPLACE
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.fix.patches.base import Answer, PatchError, Texts, path_before, path_in
from agent.fix.patches.matching import locate, put, without_numbers

_BEGIN = re.compile(r"^\s*<{5,9}(?:\s*(?:SEARCH|ORIGINAL|HEAD|OLD|BEFORE)\b.*|\s*)$", re.IGNORECASE)
_MIDDLE = re.compile(r"^\s*={5,9}\s*$")
_END = re.compile(r"^\s*>{5,9}(?:\s*(?:REPLACE|UPDATED|NEW|AFTER)\b.*|.*)$", re.IGNORECASE)
_FENCED = re.compile(r"^\s*[`~]{3,}(.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """One of them; without a path if none was named."""

    path: str
    search: tuple[str, ...]
    replace: tuple[str, ...]


class SearchReplace:
    """The format."""

    def read(self, answer: Answer, texts: Texts) -> int:
        """Applies all blocks in their order; a block that repeats another is taken once."""
        blocks = list(dict.fromkeys(_blocks(answer)))
        for block in blocks:
            _apply(block, texts)
        return len(blocks)


def _blocks(answer: Answer) -> Iterator[Block]:
    lines, number, path = answer.lines, 0, ""
    while number < len(lines):
        if not _BEGIN.match(lines[number]):
            number += 1
            continue
        path = _path(lines, number) or path
        end = next((i for i in range(number + 1, len(lines)) if _END.match(lines[i])), None)
        if end is None or any(_BEGIN.match(line) for line in lines[number + 1 : end]):
            cut = "; the answer was too long, so give less of it" if answer.cut else ""
            raise PatchError(f"a SEARCH block has no >>>>>>> REPLACE line{cut}")
        middle = [i for i in range(number + 1, end) if _MIDDLE.match(lines[i])]
        if len(middle) != 1:
            raise PatchError(
                f"a SEARCH block has {len(middle)} ======= lines: one has to stand between the "
                "lines that are there and those that replace them"
            )
        yield Block(path, lines[number + 1 : middle[0]], lines[middle[0] + 1 : end])
        number = end + 1


def _path(lines: Sequence[str], number: int) -> str:
    """What is named before a block, above its fence or in it."""
    before = lines[number - 1] if number else ""
    fence = _FENCED.match(before)
    if fence is not None:
        return path_in(fence[1]) or path_before(lines, number - 1)
    return path_before(lines, number)


def _apply(block: Block, texts: Texts) -> None:
    search, replace = without_numbers(block.search), without_numbers(block.replace)
    if not any(line.strip() for line in search):
        _create(block, texts)
        return
    search, replace = _without_common_blanks(search, replace)
    try:
        _put(block.path, search, replace, texts)
    except PatchError:
        inner = _without_blanks(search)
        if inner == search:
            raise
        _put(block.path, inner, _without_blanks(replace), texts)


def _put(name: str, search: Sequence[str], replace: Sequence[str], texts: Texts) -> None:
    path = texts.resolve(name) if name else _only(search, texts)
    try:
        found = locate(texts.lines(path), search)
    except PatchError as error:
        raise PatchError(f"{path}: {error}") from None
    put(texts, path, found, search, replace)


def _create(block: Block, texts: Texts) -> None:
    """A block without anything to look for is a new file."""
    if not block.path:
        raise PatchError("a SEARCH block is empty: give the lines to replace")
    if block.path in texts.snapshot.files:
        raise PatchError(f"a SEARCH block of {block.path} is empty: give the lines to replace")
    texts.rewrite(block.path, "".join(f"{line}\n" for line in block.replace))


def _only(search: Sequence[str], texts: Texts) -> str:
    """The only source that has the lines, where no file was named."""
    found = []
    for path in texts.sources:
        try:
            locate(texts.lines(path), search)
        except PatchError:
            continue
        found.append(path)
    if len(found) > 1:
        raise PatchError(
            f"a SEARCH block names no file, and its lines are in {' and '.join(found[:3])}: put "
            "the path in the line before the block"
        )
    return found[0] if found else _nearest(search, texts)


def _nearest(search: Sequence[str], texts: Texts) -> str:
    """The source that has most of the lines, to say what is missing there."""
    common: dict[str, int] = {}
    for path in texts.sources:
        try:
            there = {line.strip() for line in texts.lines(path)} - {""}
        except PatchError:
            continue
        common[path] = sum(line.strip() in there for line in search)
    if not common or (len(common) > 1 and not any(common.values())):
        raise PatchError("the lines of a SEARCH block are in none of the files: copy them exactly")
    return max(common, key=lambda path: common[path])


def _without_common_blanks(
    search: Sequence[str], replace: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Both without the blank lines that they have in common at their ends."""
    old, new = list(search), list(replace)
    for end in (0, -1):
        while old and not old[end].strip() and (not new or not new[end].strip()):
            old.pop(end)
            if new:
                new.pop(end)
    return old, new


def _without_blanks(lines: Sequence[str]) -> list[str]:
    """Lines without the blank ones at both ends."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    return list(lines[filled[0] : filled[-1] + 1]) if filled else []
