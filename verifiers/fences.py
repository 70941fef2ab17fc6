"""Finds fenced code and thinking in a chat answer, as models write them rather than as Markdown is.

CommonMark alone is not enough: a fence may stand in a docstring, a language model forgets to close
one or glues it to the code. So where a fence might end at several lines, the caller's own test
("does it parse?") chooses, and the standard's rule is only the fallback.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# How many lines that might close a fence are tried, per fence.
_MAX_ENDS = 12

FENCE_LINE = re.compile(
    r"^(?P<lead>[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?)(?P<run>`{3,}|~{3,})(?P<info>.*)$"
)
_GLUED_END = re.compile(r"^(?P<code>.*[^`\s])[ \t]*`{3,}[ \t]*$")
_ONE_LINE = re.compile(r"(?m)^(?P<before>[^`\n]*)```(?P<code>[^`\n]+)```(?P<after>[^`\n]*)$")
_GLUED_START = re.compile(
    r"(?m)^(?P<before>[^`\n]*[^`\s])[ \t]*(?P<fence>`{3,}[ \t]*[\w+#.-]*)[ \t]*$"
)
_QUOTED = re.compile(r"(?m)^> ?(?:```|~~~)")
_CODE_WORD = re.compile(r"(?:async[ \t]+def|def|class|import|from)[ \t]+\w|@\w")

_NAMES = r"think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|seed:think"
THOUGHT_OPEN = re.compile(
    rf"^[ \t]*(?:<(?:{_NAMES})\b[^>\n]{{0,80}}>|\[think\]|<\|begin_of_thought\|>|◁think▷)", re.I
)
THOUGHT_CLOSE = re.compile(rf"</(?:{_NAMES})[ \t]*>|\[/think\]|<\|end_of_thought\|>|◁/think▷", re.I)


@dataclass(frozen=True)
class Fence:
    """One fenced block: its language in lower case (or empty), its text, and whether it ended."""

    language: str
    text: str
    closed: bool


def split_thought(answer: str) -> tuple[str, str]:
    """Parts an answer into what it says and what it only thought.

    Knows `<think>` and its common spellings, several of them, an opening tag that never closes
    (all after it is thought) and a closing tag alone (all before it is). A tag within a fence of
    the answer proper is code.

    Returns:
        The visible text and the thought, each possibly empty.
    """
    lines = answer.split("\n")
    visible: list[str] = []
    thought: list[str] = []
    inside, fence = False, ""
    for line in lines:
        if not inside and not fence and (tag := THOUGHT_OPEN.match(line)):
            inside, line = True, line[tag.end() :]
        elif not inside and (tag := THOUGHT_CLOSE.search(line)):
            before, after = line[: tag.start()], line[tag.end() :]
            # A closing tag whose opening one the chat template has swallowed.
            if not thought and (not before.strip() or (not fence and not after.strip())):
                thought, visible, fence = [*visible, before], [], ""
                line = after
        if inside:
            closing = THOUGHT_CLOSE.search(line)
            if closing is None:
                thought.append(line)
                continue
            thought.append(line[: closing.start()])
            rest = line[closing.end() :]
            inside, line = False, rest.lstrip() if FENCE_LINE.match(rest) else rest
        visible.append(line)
        fence = _follow(line, fence)
    return "\n".join(visible), "\n".join(thought)


def _follow(line: str, fence: str) -> str:
    """The run of ticks that is open after this line, by the plain rule."""
    match = FENCE_LINE.match(line)
    if match is None:
        return fence
    if not fence:
        return match["run"]
    closes = match["run"].startswith(fence) and not match["info"].strip()
    return "" if closes else fence


def split_fences(text: str, accepts: Callable[[str, str], bool]) -> list[Fence]:
    """The fenced blocks of an answer, in order.

    Args:
        text: the answer, with `\\n` as its line ends.
        accepts: whether a text, in a language, is a whole program. Of the lines at which a fence
            may end, the first is taken whose block is accepted, else the one the standard names.
    """
    fences = _split(text.split("\n"), accepts)
    if fences or "```" not in text:
        return fences
    # No fence begins a line: perhaps they are quoted, or glued to a sentence or to the code.
    if _QUOTED.search(text):
        return _split(re.sub(r"(?m)^> ?", "", text).split("\n"), accepts)
    text = _ONE_LINE.sub(r"\g<before>\n```\g<code>\n```\n\g<after>", text)
    return _split(_GLUED_START.sub(r"\g<before>\n\g<fence>", text).split("\n"), accepts)


def _split(lines: list[str], accepts: Callable[[str, str], bool]) -> list[Fence]:
    fences = []
    row = 0
    while row < len(lines):
        opening = FENCE_LINE.match(lines[row])
        if opening is None or ("`" in opening["info"] and opening["run"][0] == "`"):
            row += 1
            continue
        language, first = _read_info(opening["info"])
        ends = _possible_ends(lines, row, opening)
        width = len(opening["lead"].expandtabs(4))

        def body(end: int, row: int = row, first: str = first, width: int = width) -> str:
            taken = [outdent(line, width) for line in lines[row + 1 : end]]
            if end < len(lines) and (glued := _GLUED_END.match(lines[end])):
                taken.append(outdent(glued["code"], width))
            return "\n".join([first, *taken] if first else taken)

        end = next((end for end in ends if accepts(body(end), language)), None)
        if end is None:
            end = _standard_end(lines, ends, width)
        fences.append(Fence(language, body(end), end < len(lines)))
        # A fence with a language that stands where one should close opens the next.
        reopens = end < len(lines) and (again := FENCE_LINE.match(lines[end])) and _opens(again)
        row = end if reopens else end + 1
    return fences


def _possible_ends(lines: list[str], row: int, opening: re.Match[str]) -> list[int]:
    """Where the fence may end: at fence lines, with the text, or at ticks glued to a line's end."""
    proper: list[int] = []
    glued: list[int] = []
    for end in range(row + 1, len(lines)):
        if opening["run"] not in lines[end]:
            continue
        match = FENCE_LINE.match(lines[end])
        if match is None and _GLUED_END.match(lines[end]):
            glued.append(end)
        elif match and match["run"].startswith(opening["run"]):
            proper.append(end)
            if len(proper) == _MAX_ENDS:
                break
    return [*proper, len(lines), *glued[:_MAX_ENDS]]


def _standard_end(lines: list[str], ends: list[int], width: int) -> int:
    """The standard's choice: the first fence line that is indented less than code would be."""
    proper = [end for end in ends if end < len(lines) and FENCE_LINE.match(lines[end])]
    for end in proper:
        match = FENCE_LINE.match(lines[end])
        if match and len(match["lead"].expandtabs(4)) < width + 4:
            return end
    glued = [end for end in ends if end < len(lines) and end not in proper]
    return (proper or glued or ends)[0]


def _opens(match: re.Match[str]) -> bool:
    """Whether a fence line names a language, and so can't be the end of a block."""
    return bool(re.fullmatch(r"[ \t]*[A-Za-z{][\w+#.{}:=-]*[ \t]*", match["info"]))


def _read_info(info: str) -> tuple[str, str]:
    """The language that follows a fence, and code that was put on the same line by mistake."""
    info = info.strip().rstrip("`~").strip()
    if _CODE_WORD.match(info):
        return "", info
    word, _, rest = info.partition(" ")
    language = re.split(r"[\s:{},=.]", word.lstrip("{."))[0].lower()
    return language, rest.strip() if _CODE_WORD.match(rest.strip()) else ""


def outdent(line: str, width: int) -> str:
    """Takes up to `width` columns of blanks from the line's start."""
    column = cut = 0
    while cut < len(line) and line[cut] in " \t" and column < width:
        column += 4 - column % 4 if line[cut] == "\t" else 1
        cut += 1
    return line[cut:]
