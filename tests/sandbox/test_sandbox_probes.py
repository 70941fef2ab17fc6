"""What is written down of an answer: equal values share it, and nothing of the program's runs."""

from __future__ import annotations

import collections
import datetime
import decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.probes import canonical, digest

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False).map(lambda number: float(f"{number:.6g}"))
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.sets(st.integers())
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_equal_values_share_a_text_and_others_do_not(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(one)
    assert (canonical(one) == canonical(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (True, 1),
        (0.1 + 0.2, 0.3),
        ({1, 2, 3}, frozenset((3, 2, 1))),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": True}),
        (-0.0, 0),
    ],
)
def test_what_a_test_calls_equal_is_the_same(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [([1], (1,)), ("1", 1), (1, 2), (1.0, 1.001), ([], None), (b"a", "a"), ({}, set())],
)
def test_what_a_test_calls_different_is_not(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)


def test_values_of_the_standard_library_are_taken_and_others_refused() -> None:
    for value in (datetime.date(2020, 1, 2), decimal.Decimal("1.5"), collections.deque([1])):
        assert canonical(value)
    with pytest.raises(TypeError, match="object is no builtin value"):
        canonical([object()])


def test_a_digest_is_short_and_of_any_text() -> None:
    assert len(digest("x" * 100_000)) == 12
    assert digest("\ud800") != digest("\ud801")
