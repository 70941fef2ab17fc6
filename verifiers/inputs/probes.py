"""Probes for a task: calls that resemble its examples and fit its annotations.

The prompt and the visible tests are parsed and never executed. The same task and seed give the
same probes in every process.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import random
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from tasks.model import AssertTests, ProbeTests, PublicTask, PytestTests
from verifiers.inputs.kinds import UNKNOWN, Kind, of_annotation, of_values, refine
from verifiers.inputs.values import Maker, Palette, changes, loosened, palette

PROBES = 120
"""Calls at the most."""
_MOST_EXAMPLES = 12
_LONGEST_CALL = 2_000
_ATTEMPTS = 8
"""Draws for each probe that is wanted, since many are alike."""

Arguments = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    kind: Kind
    optional: bool = False
    loose: bool = False


def make_probes(
    task: PublicTask, *, count: int = PROBES, seed: int = 0, failures: bool = False
) -> ProbeTests | None:
    """Probes for a Python function, or `None` where not even its parameters are known.

    Half of them are small changes of the examples' arguments, the others are drawn afresh.

    Args:
        task: with a prompt and perhaps visible tests.
        count: at the most.
        seed: of what is drawn by lot.
        failures: see `ProbeTests`.
    """
    if task.entry_kind != "function" or task.language != "python" or not task.entry_point:
        return None
    digest = hashlib.sha256(f"{seed}:{task.entry_point}:{task.prompt}".encode()).digest()
    draw = random.Random(digest)
    known = {_text(arguments) for arguments in example_arguments(task)}
    examples = example_arguments(task) or _told_arguments(task)
    colours = palette([value for arguments in examples for value in arguments])
    parameters = _parameters(task, examples)
    loose = [parameter.loose for parameter in parameters]
    close = _distinct(_close(examples, draw, colours, loose), known)
    fresh = _distinct(_fresh(parameters, draw, colours, count * _ATTEMPTS), known)
    wanted = count // 2
    first = list(islice(close, wanted))
    second = list(islice(fresh, count - len(first)))
    first += islice(close, count - len(first) - len(second))
    texts = [text for pair in _alternate(first, second) for text in pair]
    calls = tuple(f"{task.entry_point}({text})" for text in texts)
    return ProbeTests(calls=calls, failures=failures) if calls else None


def _alternate(first: list[str], second: list[str]) -> Iterator[tuple[str, ...]]:
    for place in range(max(len(first), len(second))):
        yield tuple(one[place] for one in (first, second) if place < len(one))


def _distinct(found: Iterator[Arguments], known: set[str]) -> Iterator[str]:
    for arguments in found:
        text = _text(arguments)
        if text and text not in known and len(text) <= _LONGEST_CALL:
            known.add(text)
            yield text


def _text(arguments: Arguments) -> str:
    """The arguments as source; empty if that would not be read as what they are."""
    text = ", ".join(map(repr, arguments))
    try:
        ast.literal_eval(f"({text},)")
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return ""  # an empty set, an infinite float
    return text


def _close(
    examples: Sequence[Arguments], draw: random.Random, colours: Palette, loose: Sequence[bool]
) -> Iterator[Any]:
    """Changes of one argument of each example in turn, then mixtures of the examples."""
    found: list[list[Arguments]] = []
    for arguments in examples:
        for place, value in enumerate(arguments):
            free = place < len(loose) and loose[place]
            some = [
                (*arguments[:place], other, *arguments[place + 1 :])
                for other in changes(value, draw, colours, loose=free)
            ]
            found.append(some)
    found.append(list(_mixtures(examples, draw)))
    for some in found:
        draw.shuffle(some)
    while any(found):
        for some in found:
            if some:
                yield some.pop()


def _mixtures(examples: Sequence[Arguments], draw: random.Random) -> Iterator[Arguments]:
    sizes = {len(arguments) for arguments in examples}
    if len(sizes) != 1 or sizes in ({0}, {1}):
        return
    for one, other in islice(product(examples, repeat=2), 40):
        yield tuple(draw.choice(pair) for pair in zip(one, other, strict=True))
    for arguments in examples:
        if len(arguments) == 2 and type(arguments[0]) is type(arguments[1]):
            yield arguments[::-1]


def _fresh(
    parameters: Sequence[_Parameter], draw: random.Random, colours: Palette, attempts: int
) -> Iterator[Arguments]:
    """Values of the parameters' kinds."""
    maker = Maker(draw, colours)
    wanted = list(parameters)
    while wanted and wanted[-1].optional and wanted[-1].kind == UNKNOWN:
        wanted.pop()
    for _ in range(attempts if wanted else 0):
        with contextlib.suppress(LookupError, TypeError):  # nested too deep, a list as a key
            yield tuple(maker.value(parameter.kind) for parameter in wanted)


def example_arguments(task: PublicTask) -> list[Arguments]:
    """The literal arguments of the calls of the entry point in the visible tests."""
    calls = [
        call
        for test in task.visible
        if isinstance(test, AssertTests | PytestTests)
        for call in _calls(test.source, {task.entry_point, _inner_name(test)})
    ]
    return _literal_ones(task, calls)


def _told_arguments(task: PublicTask) -> list[Arguments]:
    """The arguments of calls in the prompt's prose, of which nobody could read the result."""
    calls: list[ast.Call] = []
    for match in re.finditer(rf"(?<!def )\b{re.escape(task.entry_point)}\(", task.prompt):
        text = task.prompt[match.start() : match.start() + _LONGEST_CALL]
        for end in islice(re.finditer(r"\)", text), _MOST_EXAMPLES):
            found = list(_calls(text[: end.end()], {task.entry_point}))
            if found:
                calls += found
                break
    return _literal_ones(task, calls)


def _literal_ones(task: PublicTask, calls: Sequence[ast.Call]) -> list[Arguments]:
    names = [parameter for parameter, _, _ in _signature(task)]
    found: dict[str, Arguments] = {}
    for call in calls:
        arguments = _literal_arguments(call, names)
        if arguments:
            found.setdefault(_text(arguments), arguments)
    return list(found.values())[:_MOST_EXAMPLES]


def _inner_name(test: AssertTests | PytestTests) -> str:
    """What a check function calls the candidate."""
    if isinstance(test, PytestTests) or not test.function:
        return ""
    for node in _walk(test.source):
        if isinstance(node, ast.FunctionDef) and node.name == test.function and node.args.args:
            return node.args.args[0].arg
    return ""


def _calls(source: str, names: set[str]) -> Iterator[ast.Call]:
    calls = [
        node
        for node in _walk(source)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]
    yield from sorted(calls, key=lambda node: (node.lineno, node.col_offset))


def _walk(source: str) -> Iterator[ast.AST]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of text that is no code
            tree = ast.parse(source)
        yield from ast.walk(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def _literal_arguments(call: ast.Call, names: Sequence[str]) -> Arguments | None:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    nodes = list(call.args)
    for name in names[len(nodes) :]:
        if name not in named:
            break
        nodes.append(named.pop(name))
    if named:
        return None
    try:
        return tuple(ast.literal_eval(node) for node in nodes)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _signature(task: PublicTask) -> list[tuple[str, ast.expr | None, bool]]:
    """Name, annotation, and whether there is a default, of each parameter by position."""
    definitions = [
        node
        for node in _walk(task.prompt)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name == task.entry_point
    ]
    if not definitions:
        return []
    arguments = max(definitions, key=lambda node: node.lineno).args
    if arguments.vararg or any(default is None for default in arguments.kw_defaults):
        return []
    positional = [*arguments.posonlyargs, *arguments.args]
    without = len(positional) - len(arguments.defaults)
    return [(one.arg, one.annotation, place >= without) for place, one in enumerate(positional)]


def _parameters(task: PublicTask, examples: Sequence[Arguments]) -> list[_Parameter]:
    """What is known of each parameter, from its annotation and from the examples."""
    declared = _signature(task)
    if not declared:
        sizes = {len(arguments) for arguments in examples}
        declared = [("", None, False)] * (sizes.pop() if len(sizes) == 1 else 0)
    found: list[_Parameter] = []
    for place, (name, annotation, optional) in enumerate(declared):
        seen = of_values(arguments[place] for arguments in examples if place < len(arguments))
        told = of_annotation(annotation)
        kind = refine(told, seen)
        free = told.name == "unknown"
        found.append(_Parameter(name, loosened(kind) if free else kind, optional, free))
    return found
