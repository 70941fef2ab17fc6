"""Reads the examples of a docstring as asserts: the tests that a stub brings along.

People write examples in many ways: doctest, `f(1) == 2`, `f(1) -> 2`, `f(1) should return 2`,
`Input: ... Output: ...`. An example is kept only where a call of the entry point and a constant
result are beyond doubt; a wrong test costs more than a missing one. With them come the round trips
that a docstring promises (`round_trips`).
"""

from __future__ import annotations

import ast
import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks import example_styles as styles
from tasks.example_labels import labelled
from tasks.example_slips import renamed, unquoted
from tasks.literals import kind_of, skip_brackets
from tasks.model import AssertTests
from tasks.round_trips import round_trips

# More examples than this say nothing new and make prompts and verdicts long.
_MOST_EXAMPLES = 100
_LONGEST_TEXT = 50_000

_TRIPLE = re.compile(r"[rRuU]?(?:\"\"\"(.*?)\"\"\"|'''(.*?)''')", re.DOTALL)
_HEADING = re.compile(
    r"^[ \t]*(?:for[ \t]+)?examples?[ \t]*:?[ \t]*$", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class _Described:
    """The text that may hold examples, in its readings, and the names around it.

    Attributes:
        texts: each reading.
        parameters: of the entry point.
        known: what the prompt defines or imports; `None` where that is open.
        takes_words: whether each parameter may be a string.
    """

    texts: tuple[str, ...]
    parameters: tuple[str, ...]
    known: frozenset[str] | None = None
    takes_words: bool = False


def docstring_examples(prompt: str, entry_point: str) -> AssertTests | None:
    """The examples in the docstring of the prompt's `entry_point`, one `assert` each.

    The last function of that name counts, since helpers may stand before it. A prompt without
    such a function is read as prose. Never raises, whatever the text.

    Args:
        prompt: a stub with docstring, or prose.
        entry_point: the function whose calls are examples.

    Returns:
        Asserts at top level that call the entry point by name, or `None` if there are none.
    """
    lines = list(extract_asserts(prompt, entry_point))
    if not lines:
        return None
    return AssertTests(source="\n".join(lines) + "\n", filename="examples.py", derived=True)


def extract_asserts(prompt: str, entry_point: str) -> Iterator[str]:
    """The example asserts of a prompt, in the order in which they stand, without repeats.

    Round trips come last.
    """
    if not entry_point.isidentifier() or entry_point not in prompt:
        return
    with warnings.catch_warnings():
        # Text that is no code draws SyntaxWarnings (`"\d"`) that are nobody's concern.
        warnings.simplefilter("ignore")
        described = _describe(prompt, entry_point)
        examples = [
            example
            for text in described.texts
            for example in _in_text(text[:_LONGEST_TEXT], entry_point, described.parameters)
        ] or [
            example
            for text in described.texts[:1]
            for example in _with_slips(text[:_LONGEST_TEXT], entry_point, described)
        ]
        yield from _asserts(examples)
        with contextlib.suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            yield from round_trips(ast.parse(prompt), entry_point)


def _in_text(text: str, entry_point: str, parameters: Sequence[str]) -> list[styles.Example]:
    sessions, rest = styles.doctests(text, entry_point)
    inline = styles.inline(rest, entry_point)
    described = labelled(rest, entry_point, parameters)
    found = sorted([*sessions, *inline, *described], key=lambda example: example.position)
    return _without_recurrence(found, text, entry_point)


def _with_slips(text: str, entry_point: str, described: _Described) -> list[styles.Example]:
    found: list[styles.Example] = []
    if described.takes_words:
        found = unquoted(text, entry_point, described.parameters)
    if not found and described.known is not None:
        found = renamed(text, entry_point, described.parameters, described.known)
    return found


def _without_recurrence(
    examples: list[styles.Example], text: str, entry_point: str
) -> list[styles.Example]:
    """Drops the terms of a recurrence that goes by the function's own name.

    `tri(2) = 2` defines a term where `tri(n)` shall return the list of them. Told by a formula
    `tri(n) = ...` and by results of another kind under a later heading.
    """
    headings = [match.start() for match in _HEADING.finditer(text)]
    formula = re.search(rf"\b{re.escape(entry_point)}\([A-Za-z]\w*\)\s*(?:=|->)", text)
    if not headings or formula is None:
        return examples
    kinds = {kind_of(example.expected) for example in examples if example.position > headings[-1]}
    if not kinds:
        return examples
    return [
        example
        for example in examples
        if example.position > headings[-1] or kind_of(example.expected) in kinds
    ]


def _asserts(examples: Sequence[styles.Example]) -> Iterator[str]:
    """One assert per call; a call with two different results is told wrong somewhere: none."""
    by_call: dict[str, dict[str, str]] = {}
    for example in examples:
        try:
            call = ast.unparse(example.call)
            expected = ast.unparse(example.expected)
        except (ValueError, RecursionError):
            continue
        operator = "is" if expected == "None" else "=="
        line = f"assert {call} {operator} {expected}"
        if len(line.splitlines()) == 1:
            by_call.setdefault(call, {})[expected] = line
    single = [next(iter(results.values())) for results in by_call.values() if len(results) == 1]
    yield from single[:_MOST_EXAMPLES]


def _describe(prompt: str, entry_point: str) -> _Described:
    try:
        tree = ast.parse(prompt)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return _describe_broken(prompt, entry_point)
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry_point
    ]
    if not functions:
        return _Described((prompt,), ())
    function = max(functions, key=lambda node: node.lineno)
    # Not `ast.get_docstring`: some prompts import something before the text.
    for statement in function.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            text = statement.value.value
            if isinstance(text, str):
                source = ast.get_source_segment(prompt, statement.value) or ""
                return _Described(
                    _readings(text, source),
                    _parameters(function),
                    known=_names(tree),
                    takes_words=_takes_words(function),
                )
    return _Described((), _parameters(function))


def _describe_broken(prompt: str, entry_point: str) -> _Described:
    """Finds the docstring of a stub that is no valid Python, such as one badly indented."""
    definitions = list(re.finditer(rf"\bdef\s+{re.escape(entry_point)}\s*\(", prompt))
    if not definitions:
        return _Described((prompt,), ())
    definition = definitions[-1]
    parameters: tuple[str, ...] = ()
    end = skip_brackets(prompt, definition.end() - 1)
    if end is not None:
        try:
            parsed = ast.parse(f"{prompt[definition.start() : end]}: pass").body[0]
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            parsed = None
        if isinstance(parsed, ast.FunctionDef):
            parameters = _parameters(parsed)
    block = _TRIPLE.search(prompt, end or definition.end())
    text = (block.group(1) or block.group(2) or "") if block else prompt[definition.start() :]
    return _Described((text,), parameters)


def _readings(text: str, source: str) -> tuple[str, ...]:
    r"""The docstring's value, and its source where the author forgot that `\n` is a newline."""
    prefix = source[: source.find('"')] if '"' in source else source[:2]
    forgot = "\\" in source and "\\\\" not in source and "r" not in prefix.lower()
    if not forgot:
        return (text,)
    return (text, source.strip("rRuU").strip("\"'"))


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        return ()
    return tuple(argument.arg for argument in [*arguments.posonlyargs, *arguments.args])


def _names(tree: ast.Module) -> frozenset[str]:
    """What a prompt defines or imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Import() | ast.ImportFrom():
                found.update(alias.asname or alias.name for alias in node.names)
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
    return frozenset(found)


def _takes_words(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether each parameter is annotated as a string, or not at all."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    notes = [one.annotation for one in arguments if one.annotation is not None]
    return all(isinstance(note, ast.Name) and note.id == "str" for note in notes)
