import pytest
from solution import is_even


@pytest.mark.parametrize("n", [-12, -2, 10**30, 2**64])
def test_even(n):
    assert is_even(n) is True


@pytest.mark.parametrize("n", [-7, -1, 10**30 + 1, 2**64 - 1])
def test_odd(n):
    assert is_even(n) is False
