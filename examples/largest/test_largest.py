from hypothesis import given
from hypothesis import strategies as st
from solution import largest

numbers = st.lists(st.integers(), min_size=1)


def test_example():
    assert largest([3, 9, 2]) == 9


@given(numbers)
def test_it_is_one_of_the_numbers(xs):
    assert largest(xs) in xs


@given(numbers)
def test_no_number_is_larger(xs):
    result = largest(xs)
    assert all(x <= result for x in xs)


@given(numbers)
def test_order_does_not_matter(xs):
    assert largest(xs) == largest(xs[::-1])
