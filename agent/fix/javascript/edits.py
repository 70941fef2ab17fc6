"""Patches of JavaScript that ask no model: small edits of suspicious functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tree_sitter import Node

from agent.fix.candidate import Candidate, Place
from agent.fix.javascript.families import FAMILIES
from agent.fix.javascript.functions import KINDS, MODULE, function_nodes
from agent.fix.suspects import Suspect
from agent.search.edits.ranking import score
from agent.search.edits.source import Change
from agent.search.edits.symptoms import Symptoms, differ
from verifiers.javascript import parse, text_of, walk
from verifiers.repository import Snapshot

_SUSPECTS = 12
_PAIR = re.compile(r"^actual: (?P<got>.+)\nexpected: (?P<expected>.+)$", re.M)
_RAISED = re.compile(r"^(?!AssertionError)\w*(?:Error|Exception)\b", re.M)


def edits(
    snapshot: Snapshot, suspects: Sequence[Suspect], failing: Mapping[str, str]
) -> Iterator[Candidate]:
    """All edits of the most suspicious functions, the most promising first.

    Each makes another program than all before it, and one that the grammar takes.

    Args:
        snapshot: the repository.
        suspects: its functions, most suspicious first.
        failing: its failing tests, with what they say.
    """
    signs = _signs(failing.values())
    made: list[tuple[float, Suspect, Change]] = []
    for suspect in suspects[:_SUSPECTS]:
        symptoms = Symptoms(frozenset(suspect.lines), signs)
        for change in _changes(snapshot.text(suspect.path) or "", suspect):
            made.append((score(change, symptoms) * suspect.score, suspect, change))
    known = {(path, _form(snapshot.text(path) or "")) for path in {one.path for one in suspects}}
    for _, suspect, change in sorted(made, key=lambda one: -one[0]):
        data = snapshot.files[suspect.path].content
        for begin, end, text in sorted(change.spans, reverse=True):
            data = data[:begin] + text.encode() + data[end:]
        form = _form(data.decode())
        if form is not None and (suspect.path, form) not in known:
            known.add((suspect.path, form))
            place = Place(path=suspect.path, name=suspect.name, line=change.line)
            texts = {suspect.path: data.decode()}
            yield Candidate(texts=texts, places=(place,), kind=change.kind)


def _changes(text: str, suspect: Suspect) -> Iterator[Change]:
    """The edits of one function; of a module, those outside of its functions."""
    root = parse(text)
    if root is None or root.has_error or "\ufffd" in text:
        return
    for name, node in function_nodes(root):
        if name == suspect.name and node.start_point.row + 1 == suspect.line:
            body = node.child_by_field_name("body") or node
            known = _names(node)
            for part in _outside(node) if name == MODULE else walk(body):
                for family in FAMILIES.values():
                    yield from family(part, known)


def _outside(root: Node) -> Iterator[Node]:
    left = [root]
    while left:
        node = left.pop()
        yield node
        left.extend(child for child in reversed(node.children) if child.type not in KINDS)


def _form(text: str) -> str | None:
    """A source's words, without comments and layout; `None` if it breaks the grammar."""
    root = parse(text)
    if root is None or root.has_error:
        return None
    leaves = (node for node in walk(root) if not node.children and node.type != "comment")
    return "\0".join(text_of(node) for node in leaves)


def _names(function: Node) -> tuple[str, ...]:
    """Parameters and local names, each once."""
    found: list[str] = []
    for node in walk(function):
        if node.type in ("variable_declarator", "for_in_statement", "formal_parameters"):
            bound = node if node.type == "formal_parameters" else None
            bound = bound or node.child_by_field_name("name") or node.child_by_field_name("left")
            for one in walk(bound) if bound is not None else ():
                if one.type in ("identifier", "shorthand_property_identifier_pattern"):
                    found.append(text_of(one))
    return tuple(dict.fromkeys(found))


def _signs(details: Iterable[str]) -> frozenset[str]:
    """Words for how got and expected differ, from what node:assert says of failing tests."""
    found: set[str] = set()
    for detail in details:
        pair = _PAIR.search(detail)
        if pair is not None:
            found |= differ(_literal(pair["got"]), _literal(pair["expected"]))
        elif _RAISED.search(detail):
            found.add("raises")
        elif "of wall time" in detail or "of cpu time" in detail:
            found.add("endless")
    return frozenset(found)


def _literal(text: str) -> str:
    """A value as Python writes it, where it is a plain one."""
    known = {"true": "True", "false": "False", "null": "None", "undefined": "None"}
    return re.sub(r"\b(?:true|false|null|undefined)\b", lambda one: known[one[0]], text)
