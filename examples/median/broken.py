def median(numbers: list[float]) -> float:
    """Return the median: the middle number in order of size.

    With an even count it is the mean of the two in the middle. The list is never empty, and it
    is left as it was.
    """
    middle = len(numbers) // 2
    return numbers[middle]
