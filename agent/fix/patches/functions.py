"""Whole functions, methods and classes in fenced blocks: each replaces the one of its name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.fix.patches.base import Answer, PatchError, Texts
from agent.fix.patches.grammar import Code, Grammar
from agent.fix.patches.matching import Indents, indent_of, without_numbers
from agent.fix.patches.outline import Spot


@dataclass(frozen=True, slots=True)
class WholeFunctions:
    """The format, in one language."""

    grammar: Grammar

    def read(self, answer: Answer, texts: Texts) -> int:
        """Applies all blocks with functions; of a function given twice the last one counts."""
        found = codes(answer, self.grammar)
        return sum(self._apply(code, texts) for code in found if not is_file(code, texts))

    def _apply(self, code: Code, texts: Texts) -> int:
        """Replaces what a block defines; what is new goes before the first of these."""
        spots = {one.name: one for one in code.spots}
        wanted = code.parts
        path = texts.resolve(code.path) if code.path else self._home(wanted, texts)
        there = self.grammar.outline(texts.text(path))
        meant = {name: _meant(name, code, there) for name in wanted}
        known = [name for name in wanted if meant[name]]
        if not known:
            raise PatchError(f"{path} has no function {wanted[0]}: keep the names that are there")
        for name in known:
            self._put(path, meant[name], spots[name], code, texts)
        for name in reversed([name for name in wanted if not meant[name]]):
            self._add(path, meant[known[0]], spots[name], code, texts)
        last, missing = self.grammar.missing(code, texts.text(path))
        if missing:
            texts.replace(path, last, last, missing)
        return len(wanted)

    def _home(self, wanted: Sequence[str], texts: Texts) -> str:
        """The only file that has one of the names; sources before all others."""
        others = [path for path in texts.snapshot.files if path.endswith(self.grammar.endings)]
        for paths in (texts.sources, others):
            found = [path for path in paths if self._has(path, wanted, texts)]
            if len(found) == 1:
                return found[0]
            if found:
                raise PatchError(
                    f"{wanted[0]} is in {' and '.join(found[:3])}: put the path in the line before "
                    "the code"
                )
        raise PatchError(f"there is no function {wanted[0]}: keep the names that are there")

    def _has(self, path: str, wanted: Sequence[str], texts: Texts) -> bool:
        try:
            spots = self.grammar.outline(texts.text(path))
        except PatchError:
            return False
        names = {one.name for one in spots}
        return any(
            name in names or any(one.endswith(f".{name}") for one in names) for name in wanted
        )

    def _put(self, path: str, name: str, spot: Spot, code: Code, texts: Texts) -> None:
        """Replaces one function by its new text; it keeps what is above its head if none is."""
        found = [one for one in self.grammar.outline(texts.text(path)) if one.name == name]
        if len(found) > 1:
            raise PatchError(f"{path} has {name} {len(found)} times: use a SEARCH/REPLACE block")
        old, lines = found[0], texts.lines(path)
        if not (old.alone and spot.alone):
            raise PatchError(f"{name} shares its lines with other code: use a SEARCH/REPLACE block")
        first = old.first if spot.first < spot.head else old.head
        texts.splice(path, first, old.stop, self._fitted(spot, code, lines[old.head : old.stop]))

    def _add(self, path: str, before: str, spot: Spot, code: Code, texts: Texts) -> None:
        """Puts a new function before another one."""
        old = next(one for one in self.grammar.outline(texts.text(path)) if one.name == before)
        lines = texts.lines(path)
        new = self._fitted(spot, code, lines[old.head : old.stop], instead=False)
        blank = [""] * (self.grammar.gap if not indent_of(lines[old.head]) else 1)
        texts.replace(path, old.first, old.first, [*new, *blank])

    def _fitted(
        self, spot: Spot, code: Code, old: Sequence[str], *, instead: bool = True
    ) -> list[str]:
        """New lines with the indentation of old ones, but for what is in strings."""
        above, new = code.lines[spot.first : spot.head], list(code.lines[spot.head : spot.stop])
        new = [*above, *(self.grammar.instead(new, old) if instead else new)]
        ours, theirs = indent_of(new[0]), indent_of(old[0])
        pairs = [(ours, theirs)]
        inner = [indent_of(line) for line in new[1:] if line.strip()]
        inner = [one for one in inner if len(one) > len(ours)]
        tabbed = any(indent_of(line).startswith(f"{theirs}\t") for line in old if line.strip())
        if tabbed and inner and set("".join(inner)) <= {" "}:
            pairs.append((min(inner, key=len), f"{theirs}\t"))
        indents = Indents(pairs)
        texts, docs = self.grammar.in_strings(new)
        made = []
        for number, line in enumerate(new):
            try:
                made.append(line if number in texts - docs else indents.apply([line])[0])
            except PatchError:
                if number not in docs:
                    raise
                made.append(line)
        return made


def codes(answer: Answer, grammar: Grammar) -> Iterator[Code]:
    """The blocks that define something; others are commands, output, or examples.

    Raises:
        PatchError: a block defines something and breaks the grammar, or has no end.
    """
    for fence in answer.fences:
        text = "\n".join(without_numbers(fence.lines))
        lines = textwrap.dedent(text).split("\n")
        if not grammar.defines(lines):
            continue
        if not fence.closed and answer.cut:
            raise PatchError("the answer ends in the middle of its code: give less of it")
        yield grammar.read(fence.path, lines, inner=text.lstrip("\n")[:1] in (" ", "\t"))


def is_file(code: Code, texts: Texts) -> bool:
    """Whether a block is a whole file: it has more than functions, or is one that is not there."""
    try:
        return bool(code.rest) or (bool(code.path) and not texts.resolve(code.path))
    except PatchError:
        return True


def _meant(name: str, code: Code, spots: Sequence[Spot]) -> str:
    """The qualified name that a block's name stands for: a method may be given alone.

    Raises:
        PatchError: it may be several.
    """
    methods = sorted({one.name for one in spots if one.name.endswith(f".{name}")})
    if any(one.name == name for one in spots) and not (code.inner and methods):
        return name
    if len(methods) > 1:
        raise PatchError(f"{name} may be {' or '.join(methods[:3])}: give it inside of its class")
    return methods[0] if methods else ""
