"""Examples in docstrings: each style is found, and nothing doubtful becomes a test."""

from __future__ import annotations

import ast
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.docstring import docstring_examples, extract_asserts
from tasks.example_slips import unquoted


def found(text: str, *, entry: str = "f", signature: str = "x") -> list[str]:
    body = "\n".join(f"    {line}" for line in text.split("\n"))
    return list(extract_asserts(f'def {entry}({signature}):\n    """\n{body}\n    """\n', entry))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">>> f(1)\n2", "assert f(1) == 2"),
        (">>> f(1)\n\n2", "assert f(1) == 2"),
        (">>> f([1,\n...    2])\n[3,\n 4]", "assert f([1, 2]) == [3, 4]"),
        (">>> f([1,\n       2])\n3", "assert f([1, 2]) == 3"),
        (">>> f(1) == 2", "assert f(1) == 2"),
        (">>> f(1) == 2\nTrue", "assert f(1) == 2"),
        (">>> f(1)\n2\nProse that follows at once.", "assert f(1) == 2"),
        (">>> f('a')\n'b'", "assert f('a') == 'b'"),
        (">>> f(1.5)\n-0.25", "assert f(1.5) == -0.25"),
        (">>> f(1)\nNone", "assert f(1) is None"),
        (">>> round(f(1), 2)\n0.33", "assert round(f(1), 2) == 0.33"),
        (">>> f(1) => 2", "assert f(1) == 2"),
        ("f(1) == 2", "assert f(1) == 2"),
        ("f(1) = 2", "assert f(1) == 2"),
        ("f(1) -> 2", "assert f(1) == 2"),
        ("f(1) --> 2", "assert f(1) == 2"),
        ("f(1) => 2", "assert f(1) == 2"),
        ("f(1) ==> 2", "assert f(1) == 2"),
        ("f(1)==>2", "assert f(1) == 2"),
        ("f(1) ➞ 2", "assert f(1) == 2"),
        ("f(1) should return 2", "assert f(1) == 2"),
        ("f(1) should\nreturn 2", "assert f(1) == 2"),
        ("f(1) returns 2.", "assert f(1) == 2"),
        ("f(1) returns true", "assert f(1) == True"),
        ("f(1)  # 2", "assert f(1) == 2"),
        ("f(1)  # => 'No' (the reason)", "assert f(1) == 'No'"),
        ('f(1)  # returns "two"', "assert f(1) == 'two'"),
        ("`f(1)` returns `2`", "assert f(1) == 2"),
        ("For example f(1) = 2, since 1 + 1 is 2", "assert f(1) == 2"),
        ("* f(1) -> [2]  # as said", "assert f(1) == [2]"),
        ("f(1) -> 9 - 5 - 2 = 2", "assert f(1) == 2"),
        ("f(1) = 2**3", "assert f(1) == 2 ** 3"),
        ("f(1) == set()", "assert f(1) == set()"),
        ("f(1) == {'a': (1, -2)}", "assert f(1) == {'a': (1, -2)}"),
        ("f([i * 2 for i in range(3)]) == 6", "assert f([i * 2 for i in range(3)]) == 6"),
        ("f(')') == '('", "assert f(')') == '('"),
        ("Example 1:\n  Input: x = 1\n  Output: 2", "assert f(1) == 2"),
        ("Input: [1, 2]\nOutput: 2\nExplanation: so", "assert f([1, 2]) == 2"),
        ("For x = 1, the sum is 2 the output should be '2'.", "assert f(1) == '2'"),
        ("x = [3]\n   -> think -> [4]\nreturn [4]", "assert f([3]) == [4]"),
        ("x = [3]\nreturn = [4]", "assert f([3]) == [4]"),
        ("If you are given the list [1, 2], you\nshould return 3.", "assert f([1, 2]) == 3"),
        ("Given 'a' it should return 'b' because 'a' is 'a'", "assert f('a') == 'b'"),
        ("Examples:\ng(1) == 2", "assert f(1) == 2"),
        ("Example:\n>>> round(g(1), 2)\n0.5", "assert round(f(1), 2) == 0.5"),
    ],
)
def test_style_is_understood(text: str, expected: str) -> None:
    assert found(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "no example here",
        "f(abc) == True",
        "f(x) == 2",
        "f(1) == y",
        "f(1) == g(2)",
        "g(1) == 2",
        "self.f(1) == 2",
        "1 + f(1) == 2",
        "not f(1) == 2",
        "f(n) = f(n - 1) + 1",
        "f(1) == '' or something",
        'f(1) == ""broken"',
        "f(1) == 2 or 3",
        "f(1) == 2, 3",
        "f(1) == 2 apples",
        "f(1) != 2",
        "f(1) = 1 + 1 = 3",
        "f(1) == [1, ..., 9]",
        "f(1) == 9**9**9",
        "f(*[1]) == 2",
        "f(1 == 2",
        ">>> f(1)",
        ">>> f(1)\n1, 2",
        ">>> f(1)\n<object at 0x1>",
        ">>> f(0)\nTraceback (most recent call last):\n  ...\nValueError: no",
        ">>> f(1) == 2\nFalse",
        ">>> print(f(1))\n2",
        ">>> x = 3\n>>> f(x)\n4",
        "f(1) -> 2\nf(1) -> 3",
        "Input: x = 1, y = 2\nOutput: 3",
        "Input: 1, 2\nOutput: 3",
        "Given that 'a' is a letter, it should return 'b'",
        "Given two lists [1] and [2], it should return [1, 2]",
        "Given a dog's list and a cat's, it should return 3",
        "Examples:\ng(1, 2) == 3",
        "Examples:\ng(k=1) == 3",
        "g(1) == 2\nExamples:\ng(2) == 3",
        "Examples:\ng(1) == 2\nh(1) == 3",
        "Examples:\nlen('a') == 1",
        "f(abc) == True\nf(abd) == True",
        "f(a) == True\nf(b) == False",
        "f(x) == True\nf(abc) == False",
        "f(len) == True\nf(abc) == False",
        "f(abc, d) == True\nf(abd, e) == False",
    ],
)
def test_doubt_leaves_an_example_out(text: str) -> None:
    assert found(text) == []


def test_words_without_their_quotes_are_strings_where_no_other_example_is() -> None:
    text = "f(abc) => True\nf(a) => False"
    assert found(text) == ["assert f('abc') == True", "assert f('a') == False"]
    assert found(text, signature="x: str") == found(text)
    assert found(text, signature="x: int") == []
    assert found(f"{text}\nf('b') => True") == ["assert f('b') == True"]


def test_no_words_are_no_strings() -> None:
    assert unquoted("f() => 1\nf() => 2", "f", []) == []


def test_a_name_that_the_prompt_defines_is_another_functions() -> None:
    stub = 'def f(x):\n    """\n    Example:\n    g(1) == 2\n    """\n'
    assert list(extract_asserts(stub, "f")) == ["assert f(1) == 2"]
    for other in ("def g(x):\n    return x\n", "from m import g\n", "import g\n", "g = 1\n"):
        assert list(extract_asserts(other + stub, "f")) == []
    own = stub.replace("g(1) == 2", "g(1) == 2\n    f(3) == 4")
    assert list(extract_asserts(own, "f")) == ["assert f(3) == 4"], "it has examples of its own"


def test_silent_doctest_means_none_where_others_print() -> None:
    assert found(">>> f([])\n\n>>> f([1])\n1") == ["assert f([]) is None", "assert f([1]) == 1"]


def test_arguments_are_bound_in_the_order_of_the_parameters() -> None:
    text = "Input: k = 2, xs = [1]\nOutput: [1]"
    assert found(text, signature="xs, k") == ["assert f([1], 2) == [1]"]


def test_arguments_with_other_names_are_bound_by_position_only() -> None:
    text = "Input: xs = [1], bucket_k = 2\nOutput: 3"
    assert found(text, signature="xs, k") == ["assert f([1], 2) == 3"]
    assert found("Input: k = [1], other = 2\nOutput: 3", signature="xs, k") == []


def test_terms_of_a_recurrence_are_no_results() -> None:
    text = "f(1) = 3\nf(n) = 1 + n / 2\nf(2) = 2\nExamples:\nf(3) = [1, 3, 2]"
    assert found(text) == ["assert f(3) == [1, 3, 2]"]


def test_examples_keep_their_order_and_do_not_repeat() -> None:
    text = "f(2) == 3\n>>> f(1)\n2\n\nf(2) == 3\nf(0) == 1"
    assert found(text) == ["assert f(2) == 3", "assert f(1) == 2", "assert f(0) == 1"]


def test_last_function_of_the_name_counts_and_helpers_do_not() -> None:
    prompt = (
        'def helper(x):\n    """\n    >>> f(9)\n    9\n    """\n    return x\n\n\n'
        'def f(x):\n    """\n    >>> f(1)\n    2\n    """\n'
    )
    assert list(extract_asserts(prompt, "f")) == ["assert f(1) == 2"]


def test_newline_escape_in_a_plain_docstring_is_read_as_meant() -> None:
    prompt = 'def f(x):\n    """\n    >>> f("a\\nb")\n    \'c\\nd\'\n    """\n'
    assert list(extract_asserts(prompt, "f")) == [r"assert f('a\nb') == 'c\nd'"]


def test_escaped_backslash_is_not_read_twice() -> None:
    prompt = 'def f(x):\n    """\n    >>> f("a\\\\nb")\n    1\n    """\n'
    assert list(extract_asserts(prompt, "f")) == [r"assert f('a\nb') == 1"]


def test_docstring_after_an_import_is_found() -> None:
    prompt = 'def f(x):\n    import math\n    """f(1) == 2"""\n'
    assert list(extract_asserts(prompt, "f")) == ["assert f(1) == 2"]


def test_badly_indented_stub_is_read_all_the_same() -> None:
    prompt = 'def f(xs, k):\n"""\nInput: xs = [1], k = 2\nOutput: 3\n"""\n'
    assert list(extract_asserts(prompt, "f")) == ["assert f([1], 2) == 3"]


def test_prose_is_read_as_a_whole() -> None:
    assert list(extract_asserts("Write f so that f(1) returns 2.", "f")) == ["assert f(1) == 2"]


def test_examples_come_as_one_assert_test() -> None:
    tests = docstring_examples('def f(x):\n    """f(1) == 2, f(2) == 3"""\n', "f")
    assert tests is not None
    assert tests.function is None
    assert tests.source == "assert f(1) == 2\nassert f(2) == 3\n"


def test_no_example_is_no_test() -> None:
    assert docstring_examples("def f(x):\n    pass\n", "f") is None


_PIECES = """f( ) [ ] ' " == -> returns 1 , ... # ( { - ** e9 True 0x 1_ f' lambda: yield *
>>>_ Input:_ Output:_ For_x_=_ should_be_ if_"""
_pieces = st.sampled_from(
    [
        *(piece.replace("_", " ") for piece in re.split(r"\s", _PIECES)),
        *"\n \0\\\u2028\ud800",
        '"' * 3,
    ]
)


@given(st.one_of(st.text(), st.lists(_pieces, max_size=25).map("".join)))
@example("f(" * 500)
@example("f(" + "[" * 300 + "]" * 300 + ") == 1")
@example("f(1) == " + "-" * 3000 + "1")
@example("f(1) == " + "9" * 5000)
@example("f('\u2028') == 1")
def test_any_text_gives_valid_asserts_or_none(text: str) -> None:
    for prompt in (text, f'def f(x):\n    """{text}"""\n', f"def f(x):\n  '''{text}'''\n"):
        for line in extract_asserts(prompt, "f"):
            (statement,) = ast.parse(line).body
            assert isinstance(statement, ast.Assert)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False)
    # An infinity is printed as a name, not as a literal.
    .filter(lambda x: abs(x) != float("inf")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
_styles = st.sampled_from(
    [
        ">>> {call}\n{value}",
        "{call} == {value}",
        "{call} -> {value}",
        "{call} returns {value}.",
        "e.g. {call} ➞ {value}\nand more",
        "{call}  # {value}",
    ]
)


@given(st.lists(_values, min_size=1, max_size=3), _values, _styles)
def test_what_is_written_is_what_is_read(
    arguments: list[object], value: object, style: str
) -> None:
    call = f"f({', '.join(map(repr, arguments))})"
    prompt = f"Write a function.\n\n{style.format(call=call, value=repr(value))}\n"
    (line,) = extract_asserts(prompt, "f")
    (statement,) = ast.parse(line).body
    assert isinstance(statement, ast.Assert)
    assert isinstance(statement.test, ast.Compare)
    assert isinstance(statement.test.left, ast.Call)
    assert [ast.literal_eval(argument) for argument in statement.test.left.args] == arguments
    assert ast.literal_eval(statement.test.comparators[0]) == value


@pytest.mark.parametrize(
    "piece",
    [
        *("f(", "f(1) == 2, ", "x = 1\n", "Input: 1 ", ">>> f(1\n", "For x = "),
        *("given 'a ", "given [1] should be ", "Example: g(1) ", "f(a) == 1\n", "example g("),
    ],
)
def test_hostile_text_costs_little_time(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    start = time.perf_counter()
    list(extract_asserts(f'def f(x):\n    """{text}"""\n', "f"))
    assert time.perf_counter() - start < 10
