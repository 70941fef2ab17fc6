from solution import Counter


def test_starts_at_zero():
    assert Counter().value() == 0


def test_counts():
    counter = Counter()
    counter.increment()
    counter.increment()
    assert counter.value() == 2


def test_reset():
    counter = Counter()
    counter.increment()
    counter.reset()
    assert counter.value() == 0
