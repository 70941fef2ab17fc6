"""Makes modules of text that a chat has mangled: cleans, repairs, finds the code between prose.

Everything here works on text; nothing is executed.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from verifiers.syntax import Module, Workbench

# Trailing lines are dropped from a broken piece at this many statement starts, at most.
_MAX_CUTS = 60

_WORD_LINE = re.compile(r"\A\s*(?:python[23]?|py)[ \t]*:?[ \t]*\n", re.I)
_REPL = re.compile(r"[ \t]*(?:>>>|\.\.\.)(?: |$)")
_REPL_START = re.compile(r"(?m)\A\s*>>>(?: |$)|^[ \t]*>>> (?:async def|def|class|@|import|from)\b")
_HEADER = re.compile(
    r"(?m)^(?:async|def|class|for|if|elif|else|while|with|try|except|finally|match|@)\b"
)
_CONTINUES = re.compile(r"(?:else|elif|except|finally|case)\b|[)\]}]")
_CODE_START = re.compile(
    r"""(?:async|def|class|import|from|if|for|while|with|try|match|assert|del|global|print|type)\b
    |@\w|[rbfu]{0,2}["']|\(|[A-Za-z_][\w.]*[ ]*\(
    |[A-Za-z_][\w.,\[\]'"() *-]*[ ]*(?::[^=\n]+)?(?:[-+*/|&%]|//|\*\*|<<|>>)?=(?!=)""",
    re.X | re.I,
)
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


def body_indent(stub: str) -> str:
    """How a body must be indented that continues the stub: as its docstring, if it has one."""
    last = next((line for line in reversed(stub.split("\n")) if line.strip()), "")
    return last[: len(last) - len(last.lstrip())] or "    "


def bodies(text: str, indent: str) -> Iterator[str]:
    """What a function body may have looked like before the chat took its indentation."""
    text = text.strip("\n").rstrip()
    yield text
    # The answer was stripped, and with it the first line's indentation.
    yield indent + text.lstrip()
    yield textwrap.indent(clean(text), indent)
    if _HEADER.search(text):
        return  # What is indented belongs to that statement, not to the stub.
    runs: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip() and line[0] not in " \t":
            runs.append([])
        else:
            runs[-1].append(line)
    run = max(runs, key=len)
    longest = "\n".join(run)
    yield longest
    yield textwrap.indent(textwrap.dedent(longest), indent)
