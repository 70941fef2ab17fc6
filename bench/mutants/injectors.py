"""Where faults come from: the mutation operators of mutmut and of cosmic-ray, used as libraries.

Both know nothing of how Regreen edits programs, so what is injected does not mirror what is tried.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from verifiers.syntax import canonical


class NoInjectorError(Exception):
    """A mutator is not installed. The message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A possible fault of one file.

    Attributes:
        origin: the tool.
        operator: of the tool.
        kind: what sort of fault it is.
        path: of the file.
        make: gives the whole faulty text; empty where there is none.
    """

    origin: str
    operator: str
    kind: str
    path: str
    make: Callable[[], str]


Injector = Callable[[str, str], Iterator[Mutant]]

_MUTMUT_KINDS = {
    "number": "number",
    "string": "text",
    "lambda": "lambda",
    "dict_arguments": "argument",
    "arg_removal": "argument",
    "symmetric_string_methods_swap": "method",
    "unsymmetrical_string_methods_swap": "method",
    "remove_unary_ops": "negation",
    "name": "truth",
    "augmented_assignment": "assignment",
    "assignment": "assignment",
    "match": "condition",
    "if_exp": "condition",
}
_MUTMUT_NODES = {
    "BinaryOperation": "arithmetic",
    "AugAssign": "arithmetic",
    "UnaryOperation": "negation",
    "BooleanOperation": "boolean",
    "ComparisonTarget": "comparison",
    "Break": "loop",
    "Continue": "loop",
}
"""What the operators that look at any node change; other nodes of theirs are comparisons."""
_COSMIC_RAY_KINDS = (
    ("ReplaceBinaryOperator", "arithmetic"),
    ("ReplaceComparisonOperator", "comparison"),
    ("ReplaceUnaryOperator", "negation"),
    ("AddNot", "negation"),
    ("ReplaceTrue", "truth"),
    ("ReplaceFalse", "truth"),
    ("ReplaceAnd", "boolean"),
    ("ReplaceOr", "boolean"),
    ("ReplaceBreak", "loop"),
    ("ReplaceContinue", "loop"),
    ("ZeroIteration", "loop"),
    ("ExceptionReplacer", "exception"),
    ("RemoveDecorator", "decorator"),
    ("NumberReplacer", "number"),
)
"""By the beginning of an operator's name. Its replacers of variables are left out: they draw from
a generator that can't be seeded, and put a number where a name stood."""


def injectors() -> dict[str, Injector]:
    """The tools by name.

    Raises:
        NoInjectorError: one is not installed.
    """
    return {"mutmut": _mutmut, "cosmic-ray": _cosmic_ray}


def draw_order(found: list[Mutant], draw: random.Random) -> list[Mutant]:
    """Mutants in the order in which they are tried: each kind in turn, by lot within a kind."""
    kinds: dict[str, list[Mutant]] = {}
    for one in found:
        kinds.setdefault(one.kind, []).append(one)
    for kind in sorted(kinds):
        draw.shuffle(kinds[kind])
    names = sorted(kinds)
    draw.shuffle(names)
    order: list[Mutant] = []
    while any(kinds.values()):
        order += [kinds[name].pop() for name in names if kinds[name]]
    return order


def _mutmut(path: str, text: str) -> Iterator[Mutant]:
    cst, operators = _module("libcst"), _module("mutmut.mutation.mutators").mutation_operators
    module = cst.parse_module(text)

    def replaced(old: Any, new: Any) -> str:
        return str(module.deep_replace(old, new).code)

    for node in _nodes(module, cst.Annotation):
        for sort, operator in operators:
            if not isinstance(node, sort):
                continue
            name = operator.__name__.removeprefix("operator_")
            kind = _MUTMUT_KINDS.get(name) or _MUTMUT_NODES.get(type(node).__name__, "comparison")
            for new in operator(node):
                yield Mutant("mutmut", name, kind, path, partial(replaced, node, new))


def _nodes(node: Any, but: type) -> Iterator[Any]:
    yield node
    for child in node.children:
        if not isinstance(child, but):
            yield from _nodes(child, but)


def _cosmic_ray(path: str, text: str) -> Iterator[Mutant]:
    provider = _module("cosmic_ray.operators.provider").OperatorProvider()
    mutate = _module("cosmic_ray.mutating").mutate_code
    trees = _module("cosmic_ray.ast")
    nodes = list(trees.ast_nodes(trees.get_ast(text)))

    def mutated(operator: Any, place: int) -> str:
        return str(mutate(text, operator, place) or "")

    for name in provider:
        kind = next((kind for begin, kind in _COSMIC_RAY_KINDS if name.startswith(begin)), "")
        if not kind:
            continue
        operator = provider[name]()
        places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
        for place in range(places):
            yield Mutant("cosmic-ray", name, kind, path, partial(mutated, operator, place))


def is_other(text: str, new: str) -> bool:
    """Whether a text is a program, and another one than before."""
    form = canonical(new) if new else None
    return form is not None and form != canonical(text)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NoInjectorError(
            f"{name} can't be imported ({error}): pip install -e '.[bench]'"
        ) from None
