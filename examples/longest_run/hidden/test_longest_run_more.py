from hypothesis import given
from hypothesis import strategies as st
from solution import longest_run


def test_all_equal():
    assert longest_run([7] * 20) == 20


def test_equal_but_apart():
    assert longest_run([1, 2, 1, 2, 1]) == 1


@given(st.lists(st.integers(0, 2)))
def test_reversing_changes_nothing(items):
    assert longest_run(items) == longest_run(items[::-1])


@given(st.lists(st.integers(0, 2), min_size=1))
def test_a_run_of_that_length_exists(items):
    length = longest_run(items)
    starts = range(len(items) - length + 1)
    assert any(len(set(items[start : start + length])) == 1 for start in starts)


@given(st.lists(st.integers(0, 2), min_size=1))
def test_no_run_is_longer(items):
    length = longest_run(items) + 1
    starts = range(len(items) - length + 1)
    assert not any(len(set(items[start : start + length])) == 1 for start in starts)
