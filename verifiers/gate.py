"""Rejects what can't be a program before a process is spent on it.

tree-sitter reads every candidate. Where it is content and sees nothing odd, the candidate passes
without more; where it is not, CPython's compiler decides, so that a valid program is never turned
away. What neither can tell is let through: the sandbox is there for it.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict
from tree_sitter import Node, Tree

from tasks.model import PublicTask
from verifiers.syntax import (
    MAX_BYTES,
    TooDeepError,
    binds_globally,
    canonical,
    compile_error,
    has_suspects,
    parse_tree,
)

GateKind = Literal[
    "ok", "empty", "binary", "prose", "unfinished", "syntax", "no-entry-point", "too-large"
]

# Ways to bind a name that no parser can follow: with one of these in the text, nobody can tell.
_DYNAMIC = re.compile(
    r"\bimport\s*\(?\s*\*|\b(?:globals|locals|vars|exec|eval|setattr|__dict__|modules|__import__"
    r"|__getattr__|importlib|_getframe|currentframe|builtins)\b"
)

_SENTENCE = re.compile(r"[A-Za-z][\w'’-]*(?:[,;:]?\s+[A-Za-z][\w'’-]*){2,}")
_MARKUP = re.compile(
    r"```|~~~|</?[A-Za-z]\w*>|\*\*\w|[-*•]\s+[A-Z*`]|\d+[.)]\s+[A-Z*`]|[A-Z][a-z]+[!:,.]?$"
)
_ON_LINE = re.compile(r"on line (\d+)")
_UNCLOSED = re.compile(r"'.' was never closed")


class GateResult(BaseModel):
    """What the gate says of a candidate.

    Attributes:
        ok: whether the candidate may be run.
        kind: why not, from a closed set; `ok` where it may.
        reason: one line for people and for repair prompts, with the line number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ok: bool
    reason: str = ""
    kind: GateKind = "ok"


_OK = GateResult(ok=True)


def check_syntax(program: str, task: PublicTask) -> GateResult:
    """Judges a candidate's text without running it.

    Python is parsed and must bind the task's entry point at module level, if the task has one;
    a program in another language only has to be non-empty text of bearable size.

    Args:
        program: the candidate.
        task: names the language and the entry point.

    Returns:
        The verdict. A program that CPython compiles and that binds the entry point is always ok.
    """
    if not program.strip().strip("\ufeff"):
        return _reject("empty", "the program is empty")
    try:
        raw = program.encode()
    except UnicodeEncodeError as error:
        line = program.count("\n", 0, error.start) + 1
        return _reject("binary", f"line {line}: a character that is no text (lone surrogate)")
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        return _reject("binary", f"line {line}: a NUL byte: this is no program text")
    if len(raw) > MAX_BYTES:
        return _reject("too-large", f"{len(raw)} bytes; at most {MAX_BYTES} are looked at")
    if task.language.strip().lower() not in ("python", "python3", "py"):
        return _OK
    return _check_python(program, raw, task.entry_point.partition(".")[0])


def normalised_hash(program: str) -> str:
    """A digest that two programs share when they differ in comments and formatting only.

    Docstrings count, as programs can read them. Text that CPython rejects is hashed as it is, but
    for trailing blanks. The digest follows the running Python's syntax tree: compare within one
    Python version.

    Returns:
        32 hexadecimal digits.
    """
    form = canonical(program)
    if form is None:
        form = "text:" + "\n".join(line.rstrip() for line in program.strip().splitlines())
    return hashlib.blake2b(form.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _check_python(program: str, raw: bytes, entry_point: str) -> GateResult:
    tree = parse_tree(raw)
    if tree is None or _is_doubtful(tree):
        try:
            error = compile_error(program, tree)
        except TooDeepError as deep:
            return GateResult(ok=True, reason=f"not checked: {deep}")
        if error is not None:
            return _explain(program, error)
    if not entry_point or (tree and _binds_plainly(tree.root_node, entry_point.encode())):
        return _OK
    return _check_entry_point(program, tree, entry_point)


def _is_doubtful(tree: Tree) -> bool:
    root = tree.root_node
    if root.has_error or has_suspects(tree):
        return True
    previous_row = -1
    for node in root.children:
        start = node.start_point
        if node.type in ("return_statement", "future_import_statement"):
            return True
        # Module code that is indented, other than what follows a semicolon.
        if start.column and start.row != previous_row and node.type != "comment":
            return True
        previous_row = node.end_point.row
    return False


def _binds_plainly(root: Node, name: bytes) -> bool:
    """The quick look: a definition or simple assignment among the top-level statements."""
    for node in root.children:
        found: Node | None = node
        if node.type == "decorated_definition":
            found = node.child_by_field_name("definition")
        if found is None:
            continue
        if found.type in ("function_definition", "class_definition"):
            target = found.child_by_field_name("name")
        elif found.type == "expression_statement" and (first := found.child(0)) is not None:
            target = first.child_by_field_name("left") if first.type == "assignment" else None
        else:
            continue
        if target is not None and target.text == name:
            return True
    return False


def _check_entry_point(program: str, tree: Tree | None, entry_point: str) -> GateResult:
    if _DYNAMIC.search(program):
        return _OK
    try:
        found = binds_globally(program, entry_point)
    except TooDeepError as deep:
        return GateResult(ok=True, reason=f"not checked: {deep}")
    except SyntaxError as error:
        # tree-sitter knows this syntax and this CPython doesn't: perhaps the sandbox's does.
        if re.search(rf"\b{re.escape(entry_point)}\b", program):
            return _OK
        return _explain(program, error)
    if found:
        return _OK
    others = [
        f"{name.text.decode()!r} on line {node.start_point.row + 1}"
        for node in (tree.root_node.children if tree else ())
        if node.type in ("function_definition", "class_definition")
        and (name := node.child_by_field_name("name")) is not None
        and name.text is not None
    ]
    seen = f"; it has {', '.join(others[:3])}" if others else ""
    return _reject("no-entry-point", f"nothing at module level defines {entry_point!r}{seen}")


def _explain(program: str, error: SyntaxError) -> GateResult:
    """Names the kind of a program that CPython rejects, from the place where it gave up."""
    lines = program.splitlines()
    line = min(max(error.lineno or 1, 1), max(len(lines), 1))
    text = lines[line - 1] if lines else ""
    prose = next((n for n in (line, 1) if n <= len(lines) and _prose(lines[n - 1])), 0)
    if _is_unfinished(lines, error, line, prose == line):
        return _reject("unfinished", f"line {line}: the program breaks off: {error.msg}")
    if prose:
        return _reject("prose", f"line {prose}: prose, not code: {_snippet(lines[prose - 1])}")
    return _reject("syntax", f"line {line}: {error.msg}: {_snippet(text)}")


def _is_unfinished(lines: list[str], error: SyntaxError, line: int, prose: bool) -> bool:
    last = max(
        (n for n, text in enumerate(lines, 1) if text.strip() and text.lstrip()[0] != "#"),
        default=0,
    )
    message = error.msg or ""
    if "unterminated triple-quoted" in message:
        return True
    if _UNCLOSED.match(message):
        # Cut off within the brackets, unless code at the same level goes on after them.
        indent = _indent(lines[line - 1])
        return not prose and all(
            _indent(text) > indent or text.lstrip()[:1] in ")]}"
            for text in lines[line:]
            if text.strip()
        )
    if (header := _ON_LINE.search(message)) and "indented block" in message:
        return int(header[1]) >= last
    if line < last or prose or "unindent" in message:
        return False
    return (
        (error.offset or 0) > len(lines[line - 1].rstrip())
        or "unterminated string" in message
        or "expected 'except'" in message
        or "expected 'else'" in message
        or "unexpected EOF" in message
    )


def _prose(line: str) -> bool:
    """Whether a line that doesn't parse reads like a sentence or markdown rather than code."""
    text = line.strip()
    if _MARKUP.match(text):
        return True
    sentence = _SENTENCE.match(text)
    if sentence is None:
        return False
    words = re.findall(r"[A-Za-z]+", sentence[0])
    return not keyword.iskeyword(words[0]) and sum(not keyword.iskeyword(w) for w in words) >= 3


def _indent(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def _snippet(line: str) -> str:
    text = line.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _reject(kind: GateKind, reason: str) -> GateResult:
    return GateResult(ok=False, kind=kind, reason=" ".join(reason.split()))
