from solution import longest_run


def test_empty():
    assert longest_run([]) == 0


def test_no_repeats():
    assert longest_run(["a", "b", "a"]) == 1


def test_run_in_the_middle():
    assert longest_run([1, 1, 2, 2, 2, 3]) == 3


def test_run_at_the_end():
    assert longest_run([1, 2, 2]) == 2
