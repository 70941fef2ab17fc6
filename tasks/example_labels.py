"""Examples that give arguments by name: `Input: xs = [1] ... Output: 1`, `For n = 3 ... be 6`.

There is no call in the text to check against, so an example counts only where every value can be
bound to a parameter of the function.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from tasks.example_styles import Example, take_result
from tasks.literals import take_value

_INPUT = re.compile(r"^[ \t]*[-*]?[ \t]*inputs?[ \t]*(?::|=)", re.IGNORECASE | re.MULTILINE)
_OUTPUT = re.compile(
    r"^[ \t]*[-*]?[ \t]*(?:outputs?|returns?|results?)[ \t]*(?::|=)\s*",
    re.IGNORECASE | re.MULTILINE,
)
_FOR = re.compile(r"\b(?:for|if|given|when|with)[ \t]+(?=[A-Za-z_]\w*[ \t]*=)", re.IGNORECASE)
_GIVEN = re.compile(r"\bgiven[ \t]+(?!that\b)", re.IGNORECASE)
_QUOTED = re.compile(r"(?<![\w'\"])(?=[\[{(]|['\"]\S)")
"""Where a value may begin in prose: a bracket, or a quote that is no apostrophe."""
_SENTENCE = 400
_RESULT = re.compile(
    r"\b(?:(?:output|result|answer|function|it|value)[ \t]+)?"
    r"(?:should|must|will|would|shall)\s+(?:be|return|equal|give)\b[ \t]*:?[ \t]*",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?!returns?\b)([A-Za-z_]\w*)[ \t]*[=:][ \t]*(?!=)")
_BETWEEN = re.compile(r"(?:[\s,;]|and\b)*")
_ASSIGNED = re.compile(r"^[ \t]*(?!returns?\b)(?=[A-Za-z_]\w*[ \t]*=[ \t]*[^=])", re.MULTILINE)
_RETURNED = re.compile(r"^[ \t]*returns?\b[ \t]*[=:]?[ \t]*", re.MULTILINE)


_Values = list[tuple[str, ast.expr]]


def labelled(text: str, entry_point: str, parameters: Sequence[str]) -> Iterator[Example]:
    """Examples that name the arguments: `Input: x = 1 ... Output: 2`, `For x = 1 ... be 2`.

    Kept only where every argument can be bound to a parameter, and so never without parameters.
    """
    if not parameters:
        return
    described = [*_input_output(text), *_for_given(text), *_assigned(text), *_told(text)]
    for position, values, expected in described:
        arguments = _bind(values, parameters)
        if arguments is not None:
            call = ast.Call(ast.Name(entry_point, ast.Load()), arguments, [])
            yield Example(call, expected, position)


def _input_output(text: str) -> Iterator[tuple[int, _Values, ast.expr]]:
    inputs = list(_INPUT.finditer(text))
    for number, match in enumerate(inputs):
        limit = inputs[number + 1].start() if number + 1 < len(inputs) else len(text)
        output = _OUTPUT.search(text, match.end(), limit)
        if output is None:
            continue
        values, end = _take_values(text[: output.start()], match.end())
        expected = take_result(text, output.end())
        if values and not text[end : output.start()].strip() and expected is not None:
            yield match.start(), values, expected


def _for_given(text: str) -> Iterator[tuple[int, _Values, ast.expr]]:
    for match in _FOR.finditer(text):
        values, end = _take_values(text, match.end())
        limit = text.find("\n\n", end)
        following = _FOR.search(text, end)
        stops = [stop for stop in (limit, following.start() if following else -1) if stop >= 0]
        # The last verdict counts: "the sum will be 1 the output should be '1'".
        results = list(_RESULT.finditer(text, end, min([*stops, len(text), end + 300])))
        if values and results:
            expected = take_result(text, results[-1].end())
            if expected is not None:
                yield match.start(), values, expected


def _told(text: str) -> Iterator[tuple[int, _Values, ast.expr]]:
    """`If you are given "a" and the list [1, 2], you should return 3`: values amid prose."""
    for match in _GIVEN.finditer(text):
        paragraph = text.find("\n\n", match.end())
        end = min(match.end() + _SENTENCE, paragraph if paragraph >= 0 else len(text))
        result = _RESULT.search(text, match.end(), end)
        if result is None:
            continue
        values = _values_amid(text[: result.start()], match.end())
        expected = take_result(text, result.end())
        if values and expected is not None:
            yield match.start(), values, expected


def _values_amid(text: str, start: int) -> _Values:
    """The strings and collections that stand in prose, in their order, without names."""
    values: _Values = []
    position = start
    while place := _QUOTED.search(text, position):
        found = take_value(text, place.start())
        position = found.end if found else place.start() + 1
        if found is not None:
            values.append(("", found.node))
    return values


def _assigned(text: str) -> Iterator[tuple[int, _Values, ast.expr]]:
    """`xs = [1, 2]`, perhaps a few lines of working, then `return 3`, each on its own line."""
    for match in _ASSIGNED.finditer(text):
        values, end = _take_values(text, match.end())
        if not values:
            continue
        following = _ASSIGNED.search(text, end)
        limit = following.start() if following and following.start() > end else len(text)
        returned = _RETURNED.search(text, end, limit)
        if returned is None or text.count("\n", end, returned.start()) > 4:
            continue
        expected = take_result(text, returned.end())
        if expected is not None:
            yield match.start(), values, expected


def _take_values(text: str, start: int) -> tuple[_Values, int]:
    """The values at `start`, named (`x = 1, y = 2`) or bare, and where they end."""
    values: _Values = []
    end = position = start
    while len(values) < 20:
        between = _BETWEEN.match(text, position)
        position = between.end() if between else position
        name = _NAME.match(text, position)
        found = take_value(text, name.end() if name else position)
        if found is None:
            break
        values.append((name.group(1) if name else "", found.node))
        end = position = found.end
    return values, end


def _bind(values: _Values, parameters: Sequence[str]) -> list[ast.expr] | None:
    """The arguments in the parameters' order, or `None` where that is open to doubt."""
    if len(values) != len(parameters):
        return None
    names = [name for name, _ in values]
    if sorted(names) == sorted(parameters):
        by_name = dict(values)
        return [by_name[parameter] for parameter in parameters]
    # Names may differ from the signature (`bucket_capacity` for `capacity`): then by position,
    # unless a name is a parameter in another place.
    misplaced = any(
        name in parameters and name != parameter
        for name, parameter in zip(names, parameters, strict=True)
    )
    return None if misplaced else [value for _, value in values]
