"""The open parts of a program: functions and methods that are only stubs, and filling them in.

Works on syntax trees and text; nothing is executed.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from tasks.model import PublicTask
from verifiers.syntax import python_module

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUTURE = re.compile(r"(?m)^from __future__ import [^(\\\n;]*$\n?")


def open_parts(task: PublicTask) -> tuple[str, ...]:
    """The functions and methods that a task's prompt leaves open, in the order to write them.

    The entry point, which may call the others, comes last; otherwise it is the prompt's order. A
    method is named `Class.method`. A prompt that leaves nothing open, or is no Python, has the
    entry point as its only part.
    """
    if task.language.strip().lower() not in ("python", "python3", "py"):
        return (task.entry_point,)
    tree = python_module(task.prompt)
    names = [name for name, node in _functions(tree) if is_stub(node)] if tree else []
    names = list(dict.fromkeys(names))
    if task.entry_point in names:
        names = [*(name for name in names if name != task.entry_point), task.entry_point]
    return tuple(names) or (task.entry_point,)


def stub(source: str, name: str) -> str:
    """The source of one function or method, without the indentation it stands at; may be empty."""
    place = _place(source, name)
    if place is None:
        return ""
    first, last, _indent = place
    return textwrap.dedent("".join(_lines(source)[first:last]))


def fill(source: str, name: str, answer: str) -> str | None:
    """A source with one of its functions replaced by that of an answer.

    Args:
        source: a module.
        name: the function, or `Class.method`.
        answer: a module that defines it: at top level, or as a method. What else it defines comes
            along for a function, unless the source has that name already; of an answer to a
            method, only its imports do.

    Returns:
        The new source, or `None` where either of the two has no such function.
    """
    place, tree = _place(source, name), python_module(answer)
    bare = name.rpartition(".")[2]
    if place is None or tree is None:
        return None
    found = [node for _name, node in _functions(tree) if node.name == bare and not is_stub(node)]
    if not found:
        return None
    first, last, indent = place
    lines = _lines(source)
    known = bound_names(source) | {bare}
    beside = [
        _text(answer, node)
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        or ("." not in name and node is not found[-1] and not _binds_any(node, known))
    ]
    new = _text(answer, found[-1]) + "\n"
    if found[-1].col_offset != indent:  # else it stays as it is, texts over several lines too
        new = textwrap.indent(textwrap.dedent(new), " " * indent)
    if "." in name:
        body = ["".join(lines[:first]), new, "".join(lines[last:])]
        return _imports_first(beside, "".join(body))
    joined = "\n\n".join([*beside, new]) if beside else new
    return hoisted("".join([*lines[:first], joined, *lines[last:]]))


def bound_names(source: str) -> set[str]:
    """The names that a module's top-level definitions, imports and assignments bind."""
    tree = python_module(source)
    return {name for node in tree.body for name in _bound(node)} if tree else set()


def imports(source: str) -> str:
    """The import statements at a module's top level."""
    tree = python_module(source)
    if tree is None:
        return ""
    found = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    return "".join(_text(source, node) + "\n" for node in found)


def without_names(source: str, names: set[str]) -> str:
    """A module without its top-level definitions and assignments of certain names."""
    tree = python_module(source)
    if tree is None:
        return source
    kept = [_text(source, node) for node in tree.body if not _binds_any(node, names)]
    return "\n\n\n".join(kept) + "\n"


def joined(sources: list[str]) -> str:
    """Several modules as one, in order; repeated sources once."""
    sources = list(dict.fromkeys(sources))
    return hoisted("\n\n\n".join(source.strip("\n") for source in sources if source.strip()) + "\n")


def hoisted(source: str) -> str:
    """A module with its `from __future__` imports at the very top, where they have to stand."""
    found = list(dict.fromkeys(_FUTURE.findall(source)))
    if not found:
        return source
    return "".join(line.rstrip("\n") + "\n" for line in found) + _FUTURE.sub("", source)


def is_stub(node: _Function) -> bool:
    """Whether a function only stands for what is to be written."""
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (isinstance(statement, ast.Raise) and "NotImplemented" in ast.dump(statement))
        for statement in node.body
    )


def _functions(tree: ast.Module) -> Iterator[tuple[str, _Function]]:
    """Functions at top level and methods of top-level classes, with their names."""
    for node in tree.body:
        if isinstance(node, _Function):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, _Function):
                    yield f"{node.name}.{inner.name}", inner


def _place(source: str, name: str) -> tuple[int, int, int] | None:
    """First line, line behind the last one, and indentation of the last function of a name."""
    tree = python_module(source)
    found = [node for known, node in _functions(tree) if known == name] if tree else []
    if not found:
        return None
    node = found[-1]
    return _first_line(node) - 1, node.end_lineno or node.lineno, node.col_offset


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _text(source: str, node: ast.stmt) -> str:
    lines = _lines(source)[_first_line(node) - 1 : node.end_lineno]
    return "".join(lines).rstrip("\n")


def _lines(source: str) -> list[str]:
    """Lines as Python counts them: a form feed or a separator of records ends none."""
    return re.findall(r"[^\n]*\n|[^\n]+", source)


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, _Function | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return set()  # importing again does no harm
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    }


def _binds_any(node: ast.stmt, names: set[str]) -> bool:
    return bool(_bound(node) & names)


def _imports_first(imports: list[str], source: str) -> str:
    return hoisted("\n".join([*imports, source]) if imports else source)
