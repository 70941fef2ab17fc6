"""A whole file in a fenced block, with its path in the line before or beside the fence."""

from __future__ import annotations

from dataclasses import dataclass

from agent.fix.patches.base import Answer, PatchError, Texts
from agent.fix.patches.functions import codes, is_file
from agent.fix.patches.grammar import Code, Grammar, top_names


@dataclass(frozen=True, slots=True)
class WholeFile:
    """The format, in one language."""

    grammar: Grammar

    def read(self, answer: Answer, texts: Texts) -> int:
        """Applies all blocks that are whole files."""
        found = [code for code in codes(answer, self.grammar) if is_file(code, texts)]
        for code in found:
            path = self._path(code, texts)
            lines = list(code.lines)
            while lines and not lines[-1].strip():
                lines.pop()
            texts.rewrite(path, "".join(f"{line}\n" for line in lines))
        return len(found)

    def _path(self, code: Code, texts: Texts) -> str:
        """What is named; else the only source whose functions and classes all are in the block."""
        if code.path:
            try:
                return texts.resolve(code.path)
            except PatchError:
                if any(code.names & self._names(path, texts) for path in texts.sources):
                    raise  # what it has is somewhere already
                return code.path.removeprefix("./")
        found = []
        for path in texts.sources:
            names = self._names(path, texts)
            if names and names <= code.names:
                found.append(path)
        if len(found) == 1:
            return found[0]
        line = code.rest or 1
        raise PatchError(
            f"the code has more than functions (line {line} of it), and it is not said which file "
            "it is: give the functions alone, or the path in the line before the code"
        )

    def _names(self, path: str, texts: Texts) -> set[str]:
        """What a file defines at its top; nothing if it is no text."""
        try:
            return top_names(self.grammar.outline(texts.text(path)))
        except PatchError:
            return set()
