"""Round trips: tests of a function that a prompt describes as another's inverse.

`decode_cyclic`, whose docstring speaks of the `encode_cyclic` that stands above it with its body,
has to give back what that one was given. Told by names that are alike but for one word and its
opposite, and only where the docstring names the other function.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_OPPOSITES = (
    ("encode", "decode"),
    ("encrypt", "decrypt"),
    ("encipher", "decipher"),
    ("compress", "decompress"),
    ("pack", "unpack"),
    ("zip", "unzip"),
    ("escape", "unescape"),
    ("quote", "unquote"),
    ("serialize", "deserialize"),
    ("serialise", "deserialise"),
    ("marshal", "unmarshal"),
    ("dump", "load"),
    ("dumps", "loads"),
)
_WORDS = ("a", "ab", "abc", "abcd", "hello", "aabbb", "xyzxyz", "thequickbrownfox")
"""Lower-case letters only: many an encoding is meant for no more."""
_NUMBERS = (1, 2, 7, 10, 42, 255)
_VALUES: dict[str, tuple[object, ...]] = {
    "str": _WORDS,
    "bytes": tuple(word.encode() for word in _WORDS),
    "int": _NUMBERS,
    "list[int]": tuple(list(_NUMBERS[:count]) for count in range(1, len(_NUMBERS) + 1)),
    "list[str]": tuple(list(_WORDS[:count]) for count in range(1, len(_WORDS) + 1)),
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def round_trips(tree: ast.Module, entry_point: str) -> Iterator[str]:
    """Asserts that there and back leads to where it began.

    Args:
        tree: of the prompt.
        entry_point: one of the two functions, the last of its name.
    """
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    own = next((node for node in reversed(functions) if node.name == entry_point), None)
    if own is None:
        return
    text = ast.get_docstring(own, clean=False) or ""
    for other in functions:
        is_told = re.search(rf"\b{re.escape(other.name)}\b", text) is not None
        if not is_told or not _are_opposite(own.name, other.name) or not _has_body(other):
            continue
        first, second = (other, own) if _is_back(own.name) else (own, other)
        if _parameter(own) is not None and _parameter(other) is not None:
            for value in _VALUES.get(_kind(_parameter(first)), ()):
                yield f"assert {second.name}({first.name}({value!r})) == {value!r}"
        return


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _are_opposite(one: str, other: str) -> bool:
    pairs = list(zip(_words(one), _words(other), strict=False))
    different = [pair for pair in pairs if pair[0] != pair[1]]
    return (
        len(_words(one)) == len(_words(other))
        and len(different) == 1
        and (different[0] in _OPPOSITES or different[0][::-1] in _OPPOSITES)
    )


def _is_back(name: str) -> bool:
    """Whether it is the one of the two that leads back."""
    return any(back in _words(name) for _, back in _OPPOSITES)


def _has_body(function: ast.FunctionDef) -> bool:
    """Whether it is more than a stub."""
    return any(isinstance(node, ast.Return) and node.value for node in ast.walk(function))


def _parameter(function: ast.FunctionDef) -> ast.arg | None:
    """Its only one that has to be given."""
    taken = function.args
    needed = len(taken.args) - len(taken.defaults)
    if taken.posonlyargs or taken.vararg or taken.kwarg or taken.kwonlyargs or needed != 1:
        return None
    return taken.args[0]


def _kind(parameter: ast.arg | None) -> str:
    annotation = None if parameter is None else parameter.annotation
    return "" if annotation is None else ast.unparse(annotation).lower().removeprefix("typing.")
