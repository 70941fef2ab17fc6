"""What is shown of loops by induction holds when they are run, whatever the loop."""

from __future__ import annotations

import ast
import itertools
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.guest import affine, induction
from sandbox.guest.affine import Affine, Unsettled

PASSES = 200
"""After so many, a loop counts as one that goes on for ever."""


LINES_AT_MOST = 5_000


class _Enough(BaseException):
    pass


def _is_huge(value: object) -> bool:
    if isinstance(value, list):
        return len(value) > 500 or any(map(_is_huge, value))
    return isinstance(value, int) and value.bit_length() > 5_000


def claims(source: str, arguments: tuple[Any, ...]) -> tuple[list[int], bool]:
    """Runs the loop of a function `f`, and asks at many of its passes what becomes of it.

    Returns:
        The passes at which it was said to go on for ever, and whether it came to an end.
    """
    program = induction.Program(source, "given.py")
    (loop,) = [node for node in ast.walk(program.tree) if isinstance(node, ast.While)]
    made: list[int] = []
    due: dict[int, list[induction.State]] = {}
    passes, lines = itertools.count(1), itertools.count()

    def on_line(frame: types.FrameType, event: str, _argument: object) -> Callable[..., Any]:
        if next(lines) > LINES_AT_MOST or any(map(_is_huge, frame.f_locals.values())):
            raise _Enough  # for ever within a pass, or squared again and again
        if event == "line" and frame.f_lineno == loop.body[0].lineno:
            number = next(passes)
            for state in due.pop(number, []):
                assert induction.is_foretold(state, frame), (number, state, frame.f_locals)
            if number > PASSES:
                raise _Enough
            if number < 6 or number in (10, 25, 60, 130):
                found = induction.foretell(program, loop, frame)
                if found is not None:
                    made.append(number)
                    due.setdefault(number + found[0], []).append(found[1])
        return on_line

    def on_call(frame: types.FrameType, _event: str, _argument: object) -> Any:
        return on_line if frame.f_code.co_name == "f" else None

    module: dict[str, Any] = {}
    exec(compile(source, "given.py", "exec"), module)
    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        module["f"](*arguments)
    except _Enough:
        return made, False
    except Exception:
        return made, True
    finally:
        sys.settrace(before)
    return made, True


NAMES = st.sampled_from(["a", "b", "c"])
SMALL = st.integers(-3, 6).map(str)
ATOMS = st.one_of(
    NAMES,
    SMALL,
    st.sampled_from(["xs[0]", "xs[1]", "xs[a % 2]", "len(q)", "len(xs)", "x", "float('inf')"]),
)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*"]), inner)
    divided = st.builds("({} {} {})".format, inner, st.sampled_from(["//", "%"]), st.integers(1, 4))
    called = st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner)
    others = st.builds("abs({})".format, inner) | st.builds("sum(xs[{}:{}])".format, inner, inner)
    own = st.builds("g({})".format, inner) | st.builds("sum([i * {} for i in xs])".format, inner)
    return binary | divided | called | others | own


VALUES = st.recursive(ATOMS, _larger, max_leaves=4)
TESTS = st.one_of(
    st.builds(
        "{} {} {}".format, VALUES, st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), VALUES
    ),
    st.builds("{} % {} == {}".format, NAMES, st.integers(2, 3), st.integers(0, 2)),
    st.builds("{} in xs".format, VALUES),
    st.builds("not {}".format, VALUES),
    st.just("True"),
)
_OTHERS = (
    *("a, b = b, a", "x += 0.5", "x -= a", "q.pop()", "q = xs", "q = []", "xs = [a, b]", "c = q"),
    *("break", "continue", "return", "xs.append(xs.pop(0))", "xs = list(q)[:2]", "q = xs[:]"),
)
SIMPLE = st.one_of(
    st.builds("{} = {}".format, NAMES, VALUES),
    st.builds("{} {}= {}".format, NAMES, st.sampled_from(["+", "-", "*", "//", "%"]), SMALL),
    st.builds("{} {}= {}".format, NAMES, st.sampled_from(["+", "-"]), VALUES),
    st.builds("xs[{}] {}= {}".format, st.integers(0, 1), st.sampled_from(["+", "-", ""]), VALUES),
    st.builds("q.append({})".format, VALUES),
    st.sampled_from(_OTHERS),
)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    blocks = st.lists(inner, min_size=1, max_size=3).map("\n".join).map(_indented)
    return st.one_of(
        st.builds("if {}:\n{}".format, TESTS, blocks),
        st.builds("if {}:\n{}\nelse:\n{}".format, TESTS, blocks, blocks),
        st.builds("for c in range({}):\n{}".format, st.integers(0, 3) | VALUES, blocks),
        st.builds("for i, a in enumerate(xs):\n{}".format, blocks),
    )


STATEMENTS = st.recursive(SIMPLE, _compound, max_leaves=4)
PROGRAMS = st.builds(
    "def g(n):\n    if n % 2:\n        return n + 1\n    return n - 1\n"
    "def f(a, b, xs, q):\n    c = 0\n    x = 0.5\n    while {}:\n        a = a\n{}".format,
    TESTS,
    st.lists(STATEMENTS, min_size=1, max_size=4).map("\n".join).map(_indented).map(_indented),
)
ARGUMENTS = st.tuples(
    st.integers(-9, 9),
    st.integers(-9, 9),
    st.lists(st.integers(-4, 4), min_size=2, max_size=3),
    st.lists(st.integers(-4, 4), max_size=3),
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(PROGRAMS, ARGUMENTS, st.booleans())
def test_what_is_said_to_go_on_for_ever_does(
    source: str, arguments: tuple[Any, ...], is_shared: bool
) -> None:
    if is_shared:
        arguments = (*arguments[:3], arguments[2])
    made, has_ended = claims(source, arguments)
    assert not (made and has_ended)


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ("a -= 2", (1, 0, [0, 0], [])),
        ("a -= 2\nq.append(a)", (1, 0, [0, 0], [])),
        ("if a % 2:\n    a += 3\nelse:\n    a += 1", (1, 0, [0, 0], [])),
        ("xs[0] += 1\nb += xs[0]\na = abs(a)", (1, 0, [0, 0], [])),
        ("a, b = b, a", (1, 2, [0, 0], [])),
    ],
)
def test_something_is_said_of_what_goes_on(body: str, arguments: tuple[Any, ...]) -> None:
    lines = _indented(_indented(body))
    made, has_ended = claims(f"def f(a, b, xs, q):\n    while a != 0:\n{lines}", arguments)
    assert made
    assert not has_ended


def test_no_more_time_is_spent_than_there_is() -> None:
    program = induction.Program("def f(n):\n while n:\n  for i in range(100): n += 1", "given.py")
    (loop,) = [node for node in ast.walk(program.tree) if isinstance(node, ast.While)]

    def f(n: int, i: int) -> None:
        found = induction.foretell(program, loop, sys._getframe())
        assert found is not None
        assert (found[0], found[1]["n"]) == (1, n + 100)
        assert induction.foretell(program, loop, sys._getframe(), time.process_time()) is None

    f(5, 99)


GROWING = st.one_of(
    st.integers(-5, 5),
    st.builds(Affine, st.integers(-5, 5), st.sampled_from([-3, -1, 1, 2])),
)


def at(value: Any, number: int) -> int:
    """What it is in one pass."""
    return value.base + value.slope * number if type(value) is Affine else value


@given(GROWING, GROWING)
def test_an_answer_is_right_in_every_pass(one: Any, other: Any) -> None:
    questions: list[tuple[Callable[..., bool], Callable[[int, int], bool]]] = [
        (affine.equals, lambda a, b: a == b),
        (affine.is_less, lambda a, b: a < b),
        (affine.is_at_most, lambda a, b: a <= b),
    ]
    for asked, real in questions:
        answers = {real(at(one, number), at(other, number)) for number in range(50)}
        try:
            assert answers == {asked(one, other)}
        except Unsettled:
            assert len(answers) == 2


@given(st.sampled_from(["Add", "Sub", "Mult", "FloorDiv", "Mod"]), GROWING, GROWING)
def test_arithmetic_is_right_in_every_pass(name: str, one: Any, other: Any) -> None:
    operators = {"Add": "+", "Sub": "-", "Mult": "*", "FloorDiv": "//", "Mod": "%"}
    try:
        found = affine.combine(name, one, other)
    except (Unsettled, ZeroDivisionError):
        return
    for number in range(20):
        real = eval(f"a {operators[name]} b", {"a": at(one, number), "b": at(other, number)})
        if type(found) is affine.Unknown:
            assert type(real) is int
        else:
            assert at(found, number) == real


@given(GROWING, st.integers(0, 4), st.booleans())
def test_a_bound_of_a_slice_is_right_in_every_pass(one: Any, length: int, is_lower: bool) -> None:
    try:
        found = affine.bound(one, length)
    except Unsettled:
        return
    items = list(range(length))
    for number in range(20):
        real = at(one, number)
        assert (items[found:] == items[real:]) if is_lower else (items[:found] == items[:real])
