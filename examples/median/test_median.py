from solution import median


def test_sorted_odd_count():
    assert median([1, 2, 3]) == 2


def test_single_number():
    assert median([5]) == 5


def test_unsorted():
    assert median([9, 1, 5]) == 5


def test_even_count():
    assert median([1, 2, 3, 4]) == 2.5


def test_unsorted_even_count():
    assert median([10, 2, 8, 4]) == 6
