from solution import Counter


def test_two_counters_are_apart():
    first, second = Counter(), Counter()
    first.increment()
    assert first.value() == 1
    assert second.value() == 0


def test_counts_on_after_reset():
    counter = Counter()
    for _ in range(5):
        counter.increment()
    counter.reset()
    counter.increment()
    assert counter.value() == 1
