"""Small edits of JavaScript that ask no model: one function a family, all in one registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from tree_sitter import Node

from agent.search.edits.source import Change
from verifiers.javascript import text_of

_BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_COMPARED = {
    **{"<": (">=", ">"), "<=": (">", ">="), ">": ("<=", "<"), ">=": ("<", "<=")},
    **{"===": ("!==", "=="), "!==": ("===", "!="), "==": ("!=", "==="), "!=": ("==", "!==")},
}
_ARITHMETIC = {
    **{"+": ("-", "*"), "-": ("+",), "*": ("/", "+", "**"), "/": ("*", "%"), "%": ("/",)},
    **{"**": ("*",), "&": ("|", "^"), "|": ("&", "^"), "^": ("&", "|"), "<<": (">>",)},
    **{">>": ("<<", ">>>"), ">>>": (">>",)},
}
_LOGICAL = {"&&": ("||",), "||": ("&&", "??"), "??": ("||",)}
_METHODS = tuple(
    frozenset(group.split())
    for group in (
        "push unshift", "pop shift", "slice splice", "startsWith endsWith includes",
        "indexOf lastIndexOf", "find findLast", "min max", "floor ceil round trunc",
        "toUpperCase toLowerCase", "some every", "keys values entries", "trimStart trimEnd trim",
        "padStart padEnd", "filter map", "replace replaceAll", "reduce reduceRight",
        "parseInt parseFloat",
        "isNaN isFinite", "all allSettled race", "getDate getDay", "add delete", "match matchAll",
    )
)  # fmt: skip
_MOST_NAMES = 6
_TWO_SIDED = ("-", "/", "%", "**", "<<", ">>")

Family = Callable[[Node, Sequence[str]], Iterator[Change]]
"""The edits at one node, given the names that are known around it."""


def _replace(kind: str, node: Node, text: str) -> Change:
    return Change(kind, node.start_point.row + 1, ((node.start_byte, node.end_byte, text),))


def _swap(kind: str, one: Node, other: Node) -> Change:
    spans = (
        (one.start_byte, one.end_byte, text_of(other)),
        (other.start_byte, other.end_byte, text_of(one)),
    )
    return Change(kind, one.start_point.row + 1, spans)


def _parent(node: Node) -> str:
    return "" if node.parent is None else node.parent.type


def _sides(node: Node) -> tuple[Node | None, Node | None, Node | None]:
    left, sign, right = (node.child_by_field_name(one) for one in ("left", "operator", "right"))
    return left, sign, right


def operators(node: Node, _known: Sequence[str]) -> Iterator[Change]:
    """Other operators: comparison and its boundary, arithmetic, and/or, one side alone."""
    if node.type in ("binary_expression", "augmented_assignment_expression"):
        left, sign, right = _sides(node)
        if left is None or sign is None or right is None:
            return
        word = text_of(sign)
        if word in _BOUNDARY:
            yield _replace("comparison.boundary", sign, _BOUNDARY[word])
        for other, kind in zip(_COMPARED.get(word, ()), ("opposite", "turned"), strict=False):
            yield _replace(f"comparison.{kind}", sign, other)
        for other in _ARITHMETIC.get(word, ()):
            yield _replace("arithmetic.operator", sign, other)
        for other in _LOGICAL.get(word, ()):
            yield _replace("boolean.and-or", sign, other)
        if word in _LOGICAL:
            yield _replace("boolean.only", node, text_of(left))
            yield _replace("boolean.only", node, text_of(right))
        if word in _TWO_SIDED:
            yield _swap("swap.operands", left, right)
        if word.endswith("=") and node.type != "binary_expression":
            for other in (*(f"{one}=" for one in _ARITHMETIC.get(word[:-1], ())), "="):
                yield _replace("arithmetic.augmented", sign, other)
    elif node.type == "update_expression":
        text = text_of(node)
        turned = text.replace("++", "--") if "++" in text else text.replace("--", "++")
        yield _replace("arithmetic.augmented", node, turned)


def negations(node: Node, _known: Sequence[str]) -> Iterator[Change]:
    """A condition the other way round, a sign or a `!` too many."""
    if node.type == "parenthesized_expression" and node.parent is not None:
        if node.parent.child_by_field_name("condition") == node:
            yield _replace("flow.condition", node, f"(!{text_of(node)})")
    elif node.type == "ternary_expression":
        yes, no = (node.child_by_field_name(one) for one in ("consequence", "alternative"))
        if yes is not None and no is not None:
            yield _swap("swap.branches", yes, no)
    elif node.type == "unary_expression":
        value = node.child_by_field_name("argument")
        sign = text_of(node.child_by_field_name("operator"))
        if value is not None and sign in ("!", "-"):
            yield _replace("boolean.unary", node, text_of(value))


def constants(node: Node, _known: Sequence[str]) -> Iterator[Change]:
    """Off by one: in numbers, indices and lengths; and the other truth."""
    text = text_of(node)
    if node.type == "number" and text.isdecimal():
        yield _replace("constant.near", node, str(int(text) + 1))
        yield _replace("constant.near", node, str(int(text) - 1) if int(text) else "(-1)")
        if int(text) > 1:
            yield _replace("constant.far", node, "0")
            yield _replace("constant.far", node, "1")
    elif node.type in ("true", "false"):
        yield _replace("constant.truth", node, "false" if text == "true" else "true")
    elif node.type in ("null", "undefined"):
        yield _replace("constant.none", node, "undefined" if text == "null" else "null")
    elif node.type == "subscript_expression":
        index = node.child_by_field_name("index")
        if index is not None and index.type != "string":
            yield _replace("index.moved", index, f"{text_of(index)} + 1")
            yield _replace("index.moved", index, f"{text_of(index)} - 1")
    elif node.type == "member_expression" and text.endswith((".length", ".size")):
        yield _replace("constant.length", node, f"({text} - 1)")
        yield _replace("constant.length", node, f"({text} + 1)")
    elif node.type == "binary_expression":
        left, sign, right = _sides(node)
        if left is not None and text_of(sign) in ("+", "-") and text_of(right) == "1":
            yield _replace("constant.near", node, text_of(left))
    elif node.type == "identifier" and _parent(node) == "return_statement":
        yield _replace("constant.near", node, f"{text} + 1")
        yield _replace("constant.near", node, f"{text} - 1")


def arguments(node: Node, known: Sequence[str]) -> Iterator[Change]:
    """Arguments in another order; another function of the same kind; a bare call."""
    if node.type == "arguments":
        for one, other in pairwise(node.named_children):
            yield _swap("swap.arguments", one, other)
    elif node.type == "array":
        for one, other in pairwise(node.named_children[:3]):
            yield _swap("swap.elements", one, other)
    elif node.type == "property_identifier" or (node.type == "identifier" and known):
        for group in _METHODS:
            if text_of(node) in group:
                for word in sorted(group - {text_of(node)}):
                    yield _replace("name.method", node, word)
    elif node.type == "call_expression":
        function = node.child_by_field_name("function")
        given = text_of(node.child_by_field_name("arguments"))
        target = function.child_by_field_name("object") if function is not None else None
        if target is not None and text_of(function).endswith((".sort", ".reverse")):
            yield _replace("wrap.sorted", target, f"[...{text_of(target)}]")
            if given == "()":
                end = node.end_byte - 1
                spans = ((end, end, "(a, b) => a - b"),)
                yield Change("wrap.sorted", node.start_point.row + 1, spans)
        if _parent(node) != "await_expression":
            yield _replace("wrap.entry", node, f"await {text_of(node)}")


def names(node: Node, known: Sequence[str]) -> Iterator[Change]:
    """Another variable in a variable's place."""
    if node.type != "identifier" or text_of(node) not in known or _is_bound(node):
        return
    others = [one for one in known if one != text_of(node)]
    for other in others[:_MOST_NAMES]:
        yield _replace("name.variable", node, other)


def _is_bound(node: Node) -> bool:
    parent = node.parent
    if parent is None or parent.type == "formal_parameters":
        return True
    return parent.type == "variable_declarator" and parent.child_by_field_name("name") == node


def returns(node: Node, known: Sequence[str]) -> Iterator[Change]:
    """What is returned, and whether anything is."""
    if node.type == "return_statement" and node.named_children:
        value = node.named_children[0]
        if value.type != "identifier":
            for other in known[:_MOST_NAMES]:
                yield _replace("name.return", value, other)
        yield _replace("boolean.negated", value, f"!({text_of(value)})")
        yield _replace("wrap.return", value, f"-({text_of(value)})")
        yield _replace("flow.return-removed", node, f"{text_of(value)};")
    elif (
        node.type == "expression_statement"
        and _parent(node) == "statement_block"
        and node.next_named_sibling is None
    ):
        yield _replace("flow.missing-return", node, f"return {text_of(node)}")


def guards(node: Node, _known: Sequence[str]) -> Iterator[Change]:
    """What may be missing is asked for with care; a value of nothing gets a default."""
    if node.type == "member_expression":
        target, name = (node.child_by_field_name(part) for part in ("object", "property"))
        if target is not None and name is not None and "?." not in text_of(node):
            middle = Change(
                "guard.clause",
                node.start_point.row + 1,
                ((target.end_byte, name.start_byte, "?."),),
            )
            yield middle


def removals(node: Node, _known: Sequence[str]) -> Iterator[Change]:
    """A statement too many, or one in the wrong place."""
    kinds = ("expression_statement", "break_statement", "continue_statement", "if_statement")
    if node.type in kinds and _parent(node) == "statement_block":
        yield _replace("flow.removed", node, ";")
        after = node.next_named_sibling
        if after is not None and after.type in (*kinds, "return_statement"):
            yield _swap("flow.into-block", node, after)


FAMILIES: dict[str, Family] = {
    "operators": operators,
    "negations": negations,
    "constants": constants,
    "arguments": arguments,
    "names": names,
    "returns": returns,
    "guards": guards,
    "removals": removals,
}
"""Every family of edits by name."""
