"""Patches that ask no model: small edits of suspicious functions, the most promising first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.fix.candidate import Candidate, Place
from agent.fix.suspects import Suspect
from agent.search.edits.propose import families
from agent.search.edits.ranking import score
from agent.search.edits.source import LONGEST, Change, Source, read
from agent.search.edits.symptoms import Symptoms, differ
from verifiers.repository import Snapshot
from verifiers.syntax import canonical

_SUSPECTS = 12
"""Functions that are edited at the most."""
_COLD = 0.25
"""What an edit of a line counts for that no failing test executes, over one of the hottest line."""
_PAIR = re.compile(r"^E\s+(?:AssertionError: )?assert (?P<got>.+) == (?P<expected>.+)$", re.M)
_UNEQUAL = re.compile(r"^E\s+AssertionError: (?P<got>.+) != (?P<expected>.+)$", re.M)
_RAISED = re.compile(r"^E\s+(?!AssertionError\b)\w+(?:Error|Exception|Iteration)\b", re.M)


def edits(
    snapshot: Snapshot, suspects: Sequence[Suspect], failing: Mapping[str, str]
) -> Iterator[Candidate]:
    """All edits of the most suspicious functions, each another program than all before.

    Args:
        snapshot: the repository.
        suspects: its functions, most suspicious first.
        failing: its failing tests, with the end of the traceback.
    """
    signs = _signs(failing.values())
    made: list[tuple[float, Suspect, Source, Change]] = []
    read_before: dict[str, Source | None] = {}
    for suspect in suspects[:_SUSPECTS]:
        if suspect.path not in read_before:
            read_before[suspect.path] = _source(snapshot, suspect.path)
        source = read_before[suspect.path]
        if source is None:
            continue
        symptoms = Symptoms(frozenset(suspect.lines), signs)
        for change in _changes(source, suspect):
            hope = score(change, symptoms) * suspect.score * _warmth(suspect, change.line)
            made.append((hope, suspect, source, change))
    known: set[tuple[str, str | None]] = set()
    for _, suspect, source, change in sorted(made, key=lambda one: -one[0]):
        text = source.apply(change)
        form = canonical(text)
        if form is not None and (suspect.path, form) not in known:
            known.add((suspect.path, form))
            whole = _as_it_was(snapshot, suspect.path, text)
            place = Place(path=suspect.path, name=suspect.name, line=change.line)
            yield Candidate(texts={suspect.path: whole}, places=(place,), kind=change.kind)


def _warmth(suspect: Suspect, line: int) -> float:
    return max(_COLD, suspect.heat.get(line, 0.0)) if suspect.heat else 1.0


def _source(snapshot: Snapshot, path: str) -> Source | None:
    """A file to edit; `None` if it is no UTF-8, too long, no Python, or its line ends differ."""
    content = snapshot.files[path].content
    if content.count(b"\r") not in (0, content.count(b"\n")):
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return read(text, longest=20 * LONGEST)


def _changes(source: Source, suspect: Suspect) -> Iterator[Change]:
    """The edits of one function; what is nested in it is part of it, and is a suspect besides."""
    for function in source.functions:
        first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
        if first <= suspect.line and suspect.last <= (function.end_lineno or first):
            for family in families(wide=True).values():
                for change in family(source, function):
                    if suspect.line <= change.line <= suspect.last:
                        yield change


def _signs(details: Iterable[str]) -> frozenset[str]:
    """Words for how got and expected differ, from what pytest says of failing tests."""
    found: set[str] = set()
    for detail in details:
        pair = _PAIR.search(detail) or _UNEQUAL.search(detail)
        if pair is not None:
            found |= differ(pair["got"], pair["expected"])
        elif _RAISED.search(detail):
            found.add("raises")
        elif "of wall time" in detail or "of cpu time" in detail:
            found.add("endless")
    return frozenset(found)


def _as_it_was(snapshot: Snapshot, path: str, text: str) -> str:
    """A text with the line ends and the byte order mark of the file that it replaces."""
    old = snapshot.files[path].content
    if b"\r\n" in old:
        text = text.replace("\n", "\r\n")
    return "\ufeff" + text if old.startswith(b"\xef\xbb\xbf") else text
