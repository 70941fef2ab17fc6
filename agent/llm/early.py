"""Stops an answer while it streams, when it can't end well any more: speculative rejection.

What is stopped is judged as far as it goes, so a program that was whole by then loses nothing.
The rules err on the side of patience:

- `syntax`: the block in which the entry point is written can't become Python, whatever follows,
  and no repair that the extraction knows would help;
- `signature`: the entry point is defined with parameters that none of the calls in the visible
  tests fits;
- `repetition`: the answer has been saying the same thing over and over;
- `runaway`: the program is there, with all that it needs, and the answer goes on: with prose
  after its block, or with more and more statements in it.

Sun et al., "Fast Best-of-N Decoding via Speculative Rejection" (2024), drop partial answers by a
reward model; here the drop is decided by what the verifier would say for certain.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from enum import StrEnum

from agent.llm.base import CallShape, Watch
from verifiers.fences import FENCE_LINE, THOUGHT_CLOSE, THOUGHT_OPEN, outdent
from verifiers.heads import breaks
from verifiers.snippets import repairs
from verifiers.syntax import Workbench

_PYTHON = frozenset({"python", "python3", "py", "py3"})
_CHECK_CHARS = 48
"""Characters between two looks at the code, at least."""
_CHECK_SHARE = 10
"""And at least a tenth of it, so that all looks together cost a small multiple of the last one: for
the samples of a bank, of 500 characters on average, 0.1 ms each in all (measured)."""
_WATCHED_CHARS = 64 * 1024
_LEAD_CHARS = 500
"""An answer that talks longer than this before its first block may be thinking aloud, and change
its mind after it."""
_AFTER_CHARS = 60
"""Characters of prose after the program, from which on it isn't waited for what else comes."""
_AFTER_ALL_CHARS = 1_500
"""The same, further blocks included."""
_AFTER_CODE_CHARS = 400
"""Characters of further statements in the program's own block: samples of use are shorter."""
_LOOP_CHARS = 600
"""Text that a loop of repetition has to fill: about 150 tokens."""
_LOOP_TIMES, _LOOP_TIMES_SHORT, _LOOP_SHORT = 4, 15, 40
"""How often it is said at the least; more often where it is shorter than 40 characters, since
tables, separators and runs of brackets are programs too."""
_LOOP_PROBE, _LOOP_STEP = 24, 75
_HEADER_LINES = 30
_BEGINS = re.compile(r"(?!(?:else|elif|except|finally)\b)[\w@(\[{\"']")
"""A line that can begin a statement at the top level."""


class Reason(StrEnum):
    """Why an answer was stopped."""

    SYNTAX = "syntax"
    SIGNATURE = "signature"
    REPETITION = "repetition"
    RUNAWAY = "runaway"


@dataclass(slots=True)
class Watcher:
    """Watches one answer.

    Args:
        watch: what the answer has to become.
    """

    watch: Watch
    _line: str = ""
    _loop: _Loop = field(init=False)
    _program: _Chat | _Continuation | None = field(init=False)

    def __post_init__(self) -> None:
        self._loop = _Loop()
        python = self.watch.language.strip().lower() in _PYTHON
        if not python:
            self._program = None
        elif self.watch.prefix:
            self._program = _Continuation(self.watch.prefix)
        else:
            self._program = _Chat(self.watch)

    def feed(self, text: str) -> Reason | None:
        """Takes more of the answer; a reason to stop it, or `None`.

        However the text is cut into pieces, the reason is found in the same line.
        """
        if self._loop.feed(text):
            return Reason.REPETITION
        if self._program is None:
            return None
        self._line += text
        while (end := self._line.find("\n")) >= 0:
            line, self._line = self._line[:end], self._line[end + 1 :]
            if reason := self._program.line(line.rstrip("\r")):
                return reason
        if len(self._line) > _WATCHED_CHARS:
            self._program = None
            return None
        return self._program.part(self._line)


class _Loop:
    """Notices a text that ends in the same piece again and again."""

    def __init__(self) -> None:
        self._tail = ""
        self._fed = 0

    def feed(self, text: str) -> bool:
        """Whether the text has ended up in a loop."""
        while text:  # looked at in steps, so that it doesn't matter how the text is cut into pieces
            step = _LOOP_STEP - self._fed % _LOOP_STEP
            self._tail = (self._tail + text[:step])[-4 * _LOOP_CHARS :]
            self._fed += min(step, len(text))
            text = text[step:]
            if self._fed % _LOOP_STEP == 0 and self._looping():
                return True
        return False

    def _looping(self) -> bool:
        tail = self._tail
        if len(tail) < _LOOP_CHARS:
            return False
        last = tail.rfind(tail[-_LOOP_PROBE:], 0, len(tail) - 1)
        period = len(tail) - _LOOP_PROBE - last
        if last < 0:
            return False
        times = _LOOP_TIMES if period >= _LOOP_SHORT else _LOOP_TIMES_SHORT
        needed = max(_LOOP_CHARS, times * period)
        # a text is periodic where it is the same as itself, moved by its period
        return len(tail) >= needed and tail[-needed:-period] == tail[-needed + period :]


class _Code:
    """Code as it is being written, line by line."""

    def __init__(self, head: str = "") -> None:
        self.text = head
        self._looked_at = len(head)

    def add(self, line: str) -> None:
        """One more line."""
        self.text += line + "\n"

    @property
    def due(self) -> bool:
        """Whether enough has come for another look."""
        new = len(self.text) - self._looked_at
        if new < max(_CHECK_CHARS, len(self.text) // _CHECK_SHARE):
            return False
        self._looked_at = len(self.text)
        return len(self.text) <= _WATCHED_CHARS


class _Continuation:
    """Text that continues a program verbatim."""

    def __init__(self, prefix: str) -> None:
        # the first line continues the prompt's last
        *lines, self._first = prefix.split("\n")
        self._code = _Code("".join(f"{line}\n" for line in lines))

    def line(self, line: str) -> Reason | None:
        """Takes a line."""
        self._code.add(self._first + line)
        self._first = ""
        return Reason.SYNTAX if self._code.due and breaks(self._code.text) else None

    def part(self, _line: str) -> Reason | None:
        """Takes a look at a line that still goes on: it may become anything."""
        return None


class _Chat:
    """A chat answer: prose, thinking, and blocks of code."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._name = watch.entry_point.partition(".")[0]
        self._thinking = False
        self._fence = ""  # the run of ticks that is open
        self._indent = 0
        self._labelled = False
        self._code = _Code()
        self._header: list[str] | None = None  # the definition's lines, while they come
        self._defines = False
        self._lead = 0  # characters before the first block
        self._blocks = 0
        self._done = False  # a closed block holds the program
        self._whole = 0  # length of the open block up to which it is one
        self._prose = self._after = 0
        self._given_up = False

    def line(self, line: str) -> Reason | None:
        """Takes a line."""
        if self._thinking or (not self._fence and THOUGHT_OPEN.match(line)):
            self._thinking = THOUGHT_CLOSE.search(line) is None
            return None
        if not self._fence and THOUGHT_CLOSE.search(line):
            self.__init__(self._watch)  # type: ignore[misc]  # all before it was thought
            return None
        if self._given_up:
            return None
        fence = FENCE_LINE.match(line)
        if self._fence:
            closes = fence and fence["run"].startswith(self._fence) and not fence["info"].strip()
            return self._close() if closes else self._coded(outdent(line, self._indent))
        if fence and not ("`" in fence["info"] and fence["run"][0] == "`"):
            self._open(fence["run"], fence["info"].strip().lower(), len(fence["lead"]))
            return None
        return self._said(line)

    def part(self, line: str) -> Reason | None:
        """Takes a look at a line that still goes on: of prose, a paragraph is often one line."""
        if not self._done or self._fence or self._thinking or line.lstrip()[:1] in ("", "`", "~"):
            return None
        ends = self._prose + len(line.strip()) >= _AFTER_CHARS and self._lead <= _LEAD_CHARS
        return Reason.RUNAWAY if ends else None

    def _said(self, line: str) -> Reason | None:
        if not self._blocks:
            self._lead += len(line)
        if not self._done:
            return None
        self._prose += len(line.strip())
        self._after += len(line)
        return self._run_away()

    def _run_away(self) -> Reason | None:
        too_long = self._prose >= _AFTER_CHARS or self._after >= _AFTER_ALL_CHARS
        return Reason.RUNAWAY if too_long and self._lead <= _LEAD_CHARS else None

    def _open(self, run: str, info: str, indent: int) -> None:
        self._fence, self._indent = run, indent
        self._labelled = info in _PYTHON
        self._blocks += 1
        self._code = _Code()
        self._header, self._defines, self._whole = None, False, 0

    def _close(self) -> Reason | None:
        """At what may be the end of a block; a fence may also stand within a string."""
        self._fence = ""
        if not self._defines:
            return None
        if self._is_whole():
            self._done = True
        elif not self._done:
            self._given_up = True  # unclear what it is: an extraction will have to find out
        return None

    def _is_whole(self) -> bool:
        """Whether the block so far is the program, with all that it needs."""
        module = Workbench().module(self._code.text)
        return (
            module is not None
            and self._name in module.binds
            and not module.needs - self._watch.lent
        )

    def _coded(self, line: str) -> Reason | None:
        if self._done:
            self._after += len(line)
            return self._run_away()
        before = self._code.text
        if self._whole and len(before) - self._whole >= _AFTER_CODE_CHARS:
            return Reason.RUNAWAY if self._lead <= _LEAD_CHARS else None
        if self._defines and not self._whole and _BEGINS.match(line) and self._is_whole():
            self._whole = len(before)
        self._code.add(line)
        if not self._labelled or not self._name:
            return None
        words = line.split("(")[0].split(":")[0].split()
        starts = words[:2] in (["def", self._name], ["class", self._name])
        starts |= words[:3] == ["async", "def", self._name]
        if starts:
            self._defines = True
            plain = words[0] == "def" and line.startswith("def ")
            decorated = before.rstrip().rpartition("\n")[2].lstrip().startswith("@")
            self._header = [] if plain and not decorated else None
        if self._header is not None and self._misfits(line):
            return Reason.SIGNATURE
        if self._defines and self._code.due and all(map(breaks, repairs(self._code.text))):
            return Reason.SYNTAX
        return None

    def _misfits(self, line: str) -> bool:
        """Whether the definition is complete with this line, and no call fits its parameters."""
        assert self._header is not None
        self._header.append(line)
        if len(self._header) > _HEADER_LINES:
            self._header = None
            return False
        module = Workbench().module("\n".join(self._header) + "\n    pass\n")
        if module is None:
            return False
        self._header = None
        definition = module.tree.body[0]
        if not isinstance(definition, ast.FunctionDef):
            return False
        calls = self._watch.calls
        return bool(calls) and not any(accepts(definition.args, call) for call in calls)


def accepts(arguments: ast.arguments, call: CallShape) -> bool:
    """Whether a function with these parameters can be called so."""
    nameless = [one.arg for one in arguments.posonlyargs]
    places = [*nameless, *(one.arg for one in arguments.args)]
    named = {one.arg for one in (*arguments.args, *arguments.kwonlyargs)}
    if call.positional > len(places) and arguments.vararg is None:
        return False
    given = set(places[: call.positional])
    for word in call.keywords:
        if word in named & given or (word not in named and arguments.kwarg is None):
            return False
    given |= set(call.keywords) & named
    optional = set(places[len(places) - len(arguments.defaults) :])
    optional |= {
        one.arg
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    return {*places, *named} <= given | optional
