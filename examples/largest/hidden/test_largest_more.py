from hypothesis import given
from hypothesis import strategies as st
from solution import largest


@given(st.integers(), st.integers(min_value=1, max_value=50))
def test_all_equal(x, count):
    assert largest([x] * count) == x


@given(st.lists(st.integers(), min_size=1))
def test_agrees_with_sorting(xs):
    assert largest(xs) == sorted(xs)[-1]
