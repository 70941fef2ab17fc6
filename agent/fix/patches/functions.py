"""Whole functions, methods and classes in fenced blocks: each replaces the one of its name."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.fix.patches.base import Answer, PatchError, Texts
from agent.fix.patches.matching import Indents, indent_of, without_numbers
from agent.fix.patches.outline import Spot, outline

_DEFINITION = re.compile(r"^\s*(?:async\s+def|def|class)\s+\w+\s*[(:\[]")
_IMPORTS = (ast.Import, ast.ImportFrom)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Body = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced block that is Python and defines something.

    Attributes:
        path: of the file that it is said to be of, or empty.
        lines: without what was indented in common.
        tree: their syntax.
        inner: whether all of it was indented, as methods are.
    """

    path: str
    lines: tuple[str, ...]
    tree: ast.Module
    inner: bool = False

    @property
    def names(self) -> set[str]:
        """The functions and classes that it defines at its top."""
        return {one.name for one in self.tree.body if isinstance(one, _DEFINITIONS)}

    @property
    def others(self) -> tuple[ast.stmt, ...]:
        """Statements that are neither definitions nor imports nor a docstring."""
        body = self.tree.body[_docstring(self.tree) :]
        return tuple(one for one in body if not isinstance(one, (*_DEFINITIONS, *_IMPORTS)))


class WholeFunctions:
    """The format."""

    def read(self, answer: Answer, texts: Texts) -> int:
        """Applies all blocks with functions; of a function given twice the last one counts."""
        return sum(_apply(code, texts) for code in codes(answer) if not is_file(code, texts))


def codes(answer: Answer) -> Iterator[Code]:
    """The blocks that define something; others are commands, output, or examples.

    Raises:
        PatchError: a block defines something and is no valid Python, or has no end.
    """
    for fence in answer.fences:
        text = "\n".join(without_numbers(fence.lines))
        lines = textwrap.dedent(text).split("\n")
        if not any(_DEFINITION.match(line) for line in lines):
            continue
        if not fence.closed and answer.cut:
            raise PatchError("the answer ends in the middle of its code: give less of it")
        inner = text.lstrip("\n")[:1] in (" ", "\t")
        yield Code(fence.path, tuple(lines), _parsed(lines), inner)


def is_file(code: Code, texts: Texts) -> bool:
    """Whether a block is a whole file: it has more than functions, or is one that is not there."""
    try:
        return bool(code.others) or (bool(code.path) and not texts.resolve(code.path))
    except PatchError:
        return True


def _parsed(lines: Sequence[str]) -> ast.Module:
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse("\n".join(lines))
    except SyntaxError as error:
        raise PatchError(
            f"the code is no valid Python (line {error.lineno} of it: {error.msg})"
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise PatchError("the code can't be parsed") from None


def _apply(code: Code, texts: Texts) -> int:
    """Replaces what a block defines; what is new goes before the first of these."""
    spots = {one.name: one for one in outline("\n".join(code.lines))}
    wanted = list(_parts(code.tree))
    path = texts.resolve(code.path) if code.path else _home(wanted, texts)
    meant = {name: _meant(name, code, outline(texts.text(path))) for name in wanted}
    known = [name for name in wanted if meant[name]]
    if not known:
        raise PatchError(f"{path} has no function {wanted[0]}: keep the names that are there")
    for name in known:
        _put(path, meant[name], spots[name], code, texts)
    for name in reversed([name for name in wanted if not meant[name]]):
        _add(path, meant[known[0]], spots[name], code, texts)
    _add_imports(path, code.tree, texts)
    return len(wanted)


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


def _parts(tree: ast.Module) -> Iterator[str]:
    """The names of what is to be replaced: a class that has only methods is its methods."""
    for one in tree.body:
        if isinstance(one, ast.ClassDef):
            methods = [m.name for m in one.body if isinstance(m, _DEFINITIONS)]
            rest = [m for m in one.body[_docstring(one) :] if not isinstance(m, _DEFINITIONS)]
            if methods and not any(not _is_dots(m) for m in rest):
                yield from (f"{one.name}.{name}" for name in methods)
            else:
                yield one.name
        elif isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield one.name


def _home(wanted: Sequence[str], texts: Texts) -> str:
    """The only file that has one of the names; sources before all others."""
    others = [path for path in texts.snapshot.files if path.endswith(".py")]
    for paths in (texts.sources, others):
        found = [path for path in paths if _has(path, wanted, texts)]
        if len(found) == 1:
            return found[0]
        if found:
            raise PatchError(
                f"{wanted[0]} is in {' and '.join(found[:3])}: put the path in the line before "
                "the code"
            )
    raise PatchError(f"there is no function {wanted[0]}: keep the names that are there")


def _has(path: str, wanted: Sequence[str], texts: Texts) -> bool:
    try:
        spots = outline(texts.text(path))
    except PatchError:
        return False
    names = {one.name for one in spots}
    return any(name in names or any(one.endswith(f".{name}") for one in names) for name in wanted)


def _put(path: str, name: str, spot: Spot, code: Code, texts: Texts) -> None:
    """Replaces one function by its new text; it keeps its decorators if none are given."""
    found = [one for one in outline(texts.text(path)) if one.name == name]
    if len(found) > 1:
        raise PatchError(f"{path} has {name} {len(found)} times: use a SEARCH/REPLACE block")
    old, lines = found[0], texts.lines(path)
    first = old.first if spot.first < spot.head else old.head
    new = _fitted(code.lines[spot.first : spot.stop], lines[old.head : old.stop])
    texts.splice(path, first, old.stop, new)


def _add(path: str, before: str, spot: Spot, code: Code, texts: Texts) -> None:
    """Puts a new function before another one."""
    old = next(one for one in outline(texts.text(path)) if one.name == before)
    lines = texts.lines(path)
    new = _fitted(code.lines[spot.first : spot.stop], lines[old.head : old.stop])
    blank = [""] * (2 if not indent_of(lines[old.head]) else 1)
    texts.replace(path, old.first, old.first, [*new, *blank])


def _fitted(new: Sequence[str], old: Sequence[str]) -> list[str]:
    """New lines with the indentation of old ones, but for what is in strings."""
    ours, theirs = indent_of(new[0]), indent_of(old[0])
    pairs = [(ours, theirs)]
    inner = [indent_of(line) for line in new[1:] if line.strip()]
    inner = [one for one in inner if len(one) > len(ours)]
    tabbed = any(indent_of(line).startswith(f"{theirs}\t") for line in old if line.strip())
    if tabbed and inner and set("".join(inner)) <= {" "}:
        pairs.append((min(inner, key=len), f"{theirs}\t"))
    indents = Indents(pairs)
    texts, docs = _in_strings(new)
    made = []
    for number, line in enumerate(new):
        try:
            made.append(line if number in texts - docs else indents.apply([line])[0])
        except PatchError:
            if number not in docs:
                raise
            made.append(line)
    return made


def _in_strings(lines: Sequence[str]) -> tuple[set[int], set[int]]:
    """Lines, from 0, that begin inside of a string; and those that do in a docstring."""
    text = textwrap.dedent("\n".join(lines)) + "\n"
    found: set[int] = set()
    start = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            kind = tokenize.tok_name[token.type]
            if kind == "FSTRING_START":
                start = token.start[0]
            elif kind == "FSTRING_END":
                found |= set(range(start, token.end[0]))
            elif kind == "STRING":
                found |= set(range(token.start[0], token.end[0]))
    except (tokenize.TokenError, SyntaxError):
        return set(), set()
    docs: set[int] = set()
    for node in ast.walk(_parsed(text.split("\n"))):
        if isinstance(node, _DEFINITIONS) and _docstring(node):
            docs |= set(range(node.body[0].lineno, node.body[0].end_lineno or 0))
    return found, docs


def _add_imports(path: str, tree: ast.Module, texts: Texts) -> None:
    """Adds what a block imports and the file does not, behind the file's own imports."""
    own = _parsed(texts.lines(path))
    there = {ast.unparse(one) for one in own.body if isinstance(one, _IMPORTS)}
    wanted = [ast.unparse(one) for one in tree.body if isinstance(one, _IMPORTS)]
    missing = [line for line in dict.fromkeys(wanted) if line not in there]
    if not missing:
        return
    last = max(
        (one.end_lineno or 0 for one in own.body if isinstance(one, _IMPORTS)),
        default=(own.body[0].end_lineno or 0) if _docstring(own) else 0,
    )
    texts.replace(path, last, last, missing)


def _docstring(node: Body) -> int:
    """1 if the first statement is a docstring."""
    first = node.body[0] if node.body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return int(is_text and isinstance(first.value.value, str))  # type: ignore[union-attr]


def _is_dots(statement: ast.stmt) -> bool:
    """Whether a statement only says that something was left out."""
    if isinstance(statement, ast.Pass):
        return True
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is Ellipsis
    )
