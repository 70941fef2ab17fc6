"""Turns one piece of an answer into modules: cleans, repairs, and takes demonstrations off.

Everything here works on text and syntax trees; nothing is executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifiers.syntax import Module, Workbench

# Trailing lines are dropped from a broken piece at this many statement starts, at most.
_MAX_CUTS = 60

_WORD_LINE = re.compile(r"\A\s*(?:python[23]?|py)[ \t]*:?[ \t]*\n", re.I)
_REPL = re.compile(r"[ \t]*(?:>>>|\.\.\.)(?: |$)")
_REPL_START = re.compile(r"(?m)\A\s*>>>(?: |$)|^[ \t]*>>> (?:async def|def|class|@|import|from)\b")
_CONTINUES = re.compile(r"(?:else|elif|except|finally|case)\b|[)\]}]")
_CODE_START = re.compile(
    r"""(?:async|def|class|import|from|if|for|while|with|try|match|assert|del|global|print|type)\b
    |@\w|[rbfu]{0,2}["']|\(|[A-Za-z_][\w.]*[ ]*\(
    |[A-Za-z_][\w.,\[\]'"() *-]*[ ]*(?::[^=\n]+)?(?:[-+*/|&%]|//|\*\*|<<|>>)?=(?!=)""",
    re.X | re.I,
)
_RUNNERS = re.compile(r"main|check\w*|test\w*|run_?tests?\w*|demo|example\w*", re.I)
_TEST_MODULES = frozenset({"doctest", "unittest", "pytest"})

_BLANKS = dict.fromkeys(map(ord, "\u00a0\u1680\u202f\u205f\u3000"), " ")
_BLANKS.update(dict.fromkeys(range(0x2000, 0x200B), " "))
_NOTHING = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD), "")
_OUTSIDE_STRINGS = {**_BLANKS, **_NOTHING, 0x2212: "-"}
_CLOSERS = {"“": '”“"', "”": '”"', "„": '”“"', "‘": "’‘'", "’": "’'"}


def clean(text: str) -> str:
    """Takes off what surely is no code: blank edges, a lone `python` line, a common indent."""
    text = _WORD_LINE.sub("", text.removeprefix("\ufeff"))
    lines = text.split("\n")
    while lines and not lines[0].strip():
        del lines[0]
    while lines and not lines[-1].strip():
        del lines[-1]
    if lines and lines[0][:1] in (" ", "\t"):
        # Lines of a string may be indented less than the first: they give what they have.
        width = len(lines[0]) - len(lines[0].lstrip())
        lines = [line[min(width, len(line) - len(line.lstrip())) :] for line in lines]
    return "\n".join(lines) + "\n" if lines else ""


def repairs(text: str) -> Iterator[str]:
    """The cleaned text, then what it may have been before a chat mangled it."""
    text = clean(text)
    yield text
    if _REPL_START.search(text):
        text = clean(_strip_repl(text))
        yield text
    better = clean(_fix_characters(text))
    if better != text:
        yield better
    if "\t" in better:
        for size in (4, 8):
            yield re.sub(r"(?m)^[ \t]+", lambda m, size=size: m[0].expandtabs(size), better)  # type: ignore[misc]


def _strip_repl(text: str) -> str:
    """The input of an interactive session, without prompts and output."""
    lines = text.split("\n")
    continued = any(re.match(r"[ \t]*\.\.\.(?: |$)", line) for line in lines)
    kept = []
    for line in lines:
        if match := _REPL.match(line):
            kept.append(line[match.end() :])
        elif not line.strip() or (not continued and line[0] in " \t"):
            kept.append(line)
    return "\n".join(kept)


def _fix_characters(text: str) -> str:
    """Replaces, outside strings and comments, blanks and quotes that only typography knows."""
    out: list[str] = []
    quote = ""  # what ends the string we are in: a run of straight quotes, or any one of `curly`
    curly = ""
    row = 0
    while row < len(text):
        char = text[row]
        if quote or curly:
            if char == "\\":
                out.append(text[row : row + 2])
                row += 2
                continue
            if (curly and char in curly) or (quote and text.startswith(quote, row)):
                out.append(quote or ("'" if "'" in curly else '"'))
                row += len(quote) or 1
                quote = curly = ""
                continue
            if char == "\n" and len(quote) < 3:
                quote = curly = ""
        elif char == "#":
            end = text.find("\n", row)
            end = len(text) if end < 0 else end
            out.append(text[row:end])
            row = end
            continue
        elif char in "\"'":
            quote = char * 3 if text.startswith(char * 3, row) else char
            out.append(quote)
            row += len(quote)
            continue
        elif char in _CLOSERS:
            curly = _CLOSERS[char]
            char = "'" if "'" in curly else '"'
        else:
            char = char.translate(_OUTSIDE_STRINGS)
        out.append(char)
        row += 1
    return "".join(out)


def drop_tail(text: str, name: str, bench: Workbench) -> Module | None:
    """The longest head of a broken program, cut between top-level statements, that has `name`."""
    lines = text.split("\n")
    starts = [row for row, line in enumerate(lines) if line[:1] not in ("", " ", "\t", "#", ")")]
    for row in reversed(starts[-_MAX_CUTS:]):
        head = "\n".join(lines[:row])
        if name not in head or bench.exhausted:
            return None
        module = bench.module(head.rstrip() + "\n")
        if module is not None and name in module.binds:
            return module
    return None


def code_runs(text: str, bench: Workbench) -> list[Module]:
    """The runs of lines in mixed text that are Python, each as long as it can be, in order.

    A run ends where a line is neither blank, comment, nor the start of a whole statement of the
    same indentation.
    """
    lines = text.split("\n")
    runs: list[list[int]] = []  # first line, end, columns of indentation
    row = 0
    while row < len(lines) and not bench.exhausted:
        line = lines[row]
        if not _CODE_START.match(line.lstrip()):
            row += 1
            continue
        indent = len(line) - len(line.lstrip())
        ends = _statement_ends(lines, row, indent)
        end = next((end for end in ends if bench.module(clean("\n".join(lines[row:end])))), None)
        if end is None:
            row = (
                ends[0] if line.lstrip().startswith(("def ", "class ", "async ", "@")) else row + 1
            )
            continue
        between = lines[runs[-1][1] : row] if runs else []
        if (
            runs
            and runs[-1][2] == indent
            and all(not part.strip() or part.lstrip()[0] == "#" for part in between)
        ):
            runs[-1][1] = end
        else:
            runs.append([row, end, indent])
        row = end
    modules = (bench.module(clean("\n".join(lines[start:end]))) for start, end, _ in runs)
    return [module for module in modules if module is not None]


def _statement_ends(lines: list[str], row: int, indent: int) -> list[int]:
    """Where the statement that starts in `row` may end: before lines indented no more than it."""
    ends = []
    for end in range(row + 1, len(lines)):
        line = lines[end]
        if (
            line.strip()
            and len(line) - len(line.lstrip()) <= indent
            and not _CONTINUES.match(line.lstrip())
        ):
            ends.append(end)
            if len(ends) == _MAX_CUTS:
                return ends
    return [*ends, len(lines)]


def strip_demos(module: Module, name: str, bench: Workbench) -> Module:
    """The program without top-level code that only tries it out: prints, asserts, sample calls.

    Definitions, assignments that something else uses, and `if __name__ == ...` stay.
    """
    body = module.tree.body
    demos = [s for s in body if is_demo(s, name) or _is_word(s, module.needs)]
    # `result = f(3)` goes too, where only the demonstration looked at `result`.
    samples = [s for s in body if _is_plain_assignment(s) and _calls(s, {name, "input"})]
    plain: list[ast.stmt] = [s for s in demos if isinstance(s, ast.Expr | ast.Assert)]
    for unwanted in ([*demos, *samples], demos, plain):
        rest = bench.module(without(module, unwanted)) if unwanted else module
        if rest is not None and name in rest.binds and not rest.needs - module.needs:
            return rest
    return module


def is_demo(statement: ast.stmt, name: str) -> bool:
    """Whether a top-level statement only shows how to use the program that defines `name`."""
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement, ast.Expr):
        return _calls(statement, {name, "print", "input"}) or _runs_tests(statement.value)
    if isinstance(statement, ast.If) and "__name__" in _loads(statement.test):
        return False
    if not isinstance(statement, ast.For | ast.While | ast.With | ast.Try | ast.If):
        return False
    inner = [s for part in _blocks(statement) for s in part]
    # A loop over examples. Anything else in it makes it part of the program.
    return any(is_demo(s, name) for s in inner) and all(
        is_demo(s, name)
        or _is_plain_assignment(s)
        or isinstance(s, ast.Pass | ast.Break | ast.Continue)
        for s in inner
    )


def _is_word(statement: ast.stmt, unknown: frozenset[str]) -> bool:
    """Whether prose happened to parse (`Explanation`, `Note: this`): it only names the unknown."""
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return bool(_loads(statement.annotation) & unknown)
    return (
        isinstance(statement, ast.Expr)
        and bool(_loads(statement) & unknown)
        and not any(isinstance(n, ast.Call | ast.Await | ast.Yield) for n in ast.walk(statement))
    )


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, [])
    for handler in getattr(statement, "handlers", []):
        yield handler.body


def _is_plain_assignment(statement: ast.stmt) -> bool:
    """Whether it binds names and nothing else: no items, no attributes."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return False
    return all(
        isinstance(inner, ast.Name | ast.Tuple | ast.List | ast.Starred | ast.expr_context)
        for target in targets
        for inner in ast.walk(target)
    )


def _calls(node: ast.AST, names: set[str]) -> bool:
    return any(
        isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in names
        for inner in ast.walk(node)
    )


def _runs_tests(value: ast.expr) -> bool:
    """`unittest.main()`, `doctest.testmod()`, `check(f)`, `test_f()`, `main()`."""
    if not isinstance(value, ast.Call):
        return False
    called = value.func
    if isinstance(called, ast.Name):
        return _RUNNERS.fullmatch(called.id) is not None
    while isinstance(called, ast.Attribute | ast.Call):
        called = called.value if isinstance(called, ast.Attribute) else called.func
    return isinstance(called, ast.Name) and called.id in _TEST_MODULES


def _loads(node: ast.AST) -> set[str]:
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load | ast.Del)
    }


def without(module: Module, unwanted: list[ast.stmt]) -> str:
    """The source without these top-level statements, save those that share a line with others."""
    owners: dict[int, int] = {}
    for statement in module.tree.body:
        for row in _rows(statement):
            owners[row] = owners.get(row, 0) + 1
    gone: set[int] = set()
    for statement in unwanted:
        if all(owners[row] == 1 for row in _rows(statement)):
            gone.update(_rows(statement))
    lines = module.source.split("\n")
    return "\n".join(line for row, line in enumerate(lines, 1) if row not in gone).rstrip() + "\n"


def needed(module: Module, wanted: frozenset[str], name: str) -> str:
    """The statements of a module that bind wanted names, and what these need in turn.

    Args:
        module: a stub or program to borrow from.
        wanted: global names that another program lacks.
        name: the entry point, which is never borrowed.
    """
    body = [s for s in module.tree.body if getattr(s, "name", None) != name]
    missing = set(wanted)
    chosen: list[ast.stmt] = []
    grows = True
    while grows:
        grows = False
        for statement in body:
            bound = _binds(statement)
            if statement not in chosen and (bound & missing or ("*" in bound and missing)):
                chosen.append(statement)
                missing |= _loads(statement)
                grows = True
    rows = sorted({row for statement in chosen for row in _rows(statement)})
    lines = module.source.split("\n")
    return "\n".join(lines[row - 1] for row in rows)


def _binds(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    bound: set[str] = set()
    for inner in ast.walk(statement):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in inner.names}
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            bound.add(inner.id)
        elif isinstance(inner, ast.FunctionDef | ast.ClassDef):
            bound.add(inner.name)
    return bound


def _rows(statement: ast.stmt) -> range:
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return range(first, (statement.end_lineno or statement.lineno) + 1)
