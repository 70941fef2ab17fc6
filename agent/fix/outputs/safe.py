"""Strangers' text made harmless: names, messages and code of a repository may be anything."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links, strings for the device
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    r"\ud800-\udfff\ufffe\uffff]"
)
_GAP = "\u200b"
"""Invisible; a word that is broken by it is no mention, reference or directive any more."""
_ACTIVE = re.compile(r"@(?=\w)|#(?=\d)|\b[Gg][Hh]-(?=\d)|:(?=//)|\b[Ww]{3}(?=\.)|/(?=[0-9a-f]{7})")
_DIRECTIVE = re.compile(
    r"\[(?=\s*(?:skip|no|ci|actions|azurepipelines)\b)|\*(?=\*\*NO_CI)|#\#(?=\[)", re.I
)
_SHA = re.compile(r"\b(?=[0-9a-f]{0,39}\d)[0-9a-f]{3}(?=[0-9a-f]{4,37}\b)")
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:])")
_TICKS = re.compile(r"`+")


def plain(text: str) -> str:
    """Text without anything that steers a terminal or turns its direction; lines stay lines."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return _CONTROLS.sub("\ufffd", text)


def line(text: str, limit: int = 300) -> str:
    """One plain line, cut to a length in characters."""
    found = " ".join(plain(text).split())
    return found if len(found) <= limit else found[: limit - 1] + "…"


def inert(text: str) -> str:
    """Plain text whose mentions, references, addresses and CI directives are none any more.

    A commit message or a body that says `@team`, `fixes #3` or `[skip ci]` acts on its own.
    """
    for active in (_ACTIVE, _DIRECTIVE, _SHA):
        text = active.sub(lambda found: found[0] + _GAP, text)
    return text


def prose(text: str, limit: int = 500) -> str:
    """One line that Markdown shows as it is: no markup, no HTML, no mention, no reference."""
    escaped = _MARKUP.sub(r"\\\1", line(text, limit))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"@", f"@{_GAP}", re.sub(r"\\#", f"\\#{_GAP}", _broken_addresses(escaped)))


def _broken_addresses(escaped: str) -> str:
    """Without what Markdown would turn into a link or a reference by itself."""
    escaped = escaped.replace("\\://", f"\\:{_GAP}//")
    escaped = re.sub(r"(?i)\b(www)\\\.", rf"\1{_GAP}\\.", escaped)
    escaped = re.sub(r"(?i)\b(gh)\\-(?=\d)", rf"\1{_GAP}\\-", escaped)
    return _SHA.sub(lambda found: found[0] + _GAP, escaped)


def code(text: str, limit: int = 300) -> str:
    """A code span of one line, which nothing in it can end."""
    shown = line(text, limit) or " "
    ticks = "`" * (1 + max((len(run) for run in _TICKS.findall(shown)), default=0))
    pad = " " if shown[0] == "`" or shown[-1] == "`" else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def fenced(text: str, language: str = "", *, indent: str = "", width: int = 400) -> list[str]:
    """A block of code, as lines: its fence is longer than any run of backticks in it.

    Args:
        text: what stands in it.
        language: of the block.
        indent: before each line, where the block belongs to an item of a list.
        width: longer lines are cut.
    """
    lines = [_cut(one, width) for one in plain(text).rstrip("\n").split("\n")]
    longest = max((len(run) for one in lines for run in _TICKS.findall(one)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{indent}{one}" for one in (f"{fence}{language}", *lines, fence)]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def some(entries: list[list[str]], limit: int) -> tuple[list[str], int]:
    """As many entries, each some lines, as have room; and how many were left out.

    Args:
        entries: in the order of their weight.
        limit: characters of all lines together.
    """
    lines: list[str] = []
    used = 0
    for number, entry in enumerate(entries):
        used += sum(len(one) + 1 for one in entry)
        if used > limit:
            return lines, len(entries) - number
        lines += entry
    return lines, 0
