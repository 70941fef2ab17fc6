"""Right programs: each kind of program, by each kind of tests, passes."""

from __future__ import annotations

from sandbox.jobs import Job

from .bench import RIGHT, Bench, asserts, cases, check, ending, job, must_end, pytest_file
from .model import Check, Unmet

ANY_INTEGER = pytest_file(
    """
    import pytest
    from hypothesis import given, strategies as st
    from solution import f

    @given(st.integers())
    def test_any(x):
        assert f(x) == x + 1

    @pytest.mark.parametrize("x", [1, 2])
    def test_some(x):
        assert f(x) == x + 1
    """
)
COUNTS = asserts(
    """
    c = Counter(3)
    c.add(4)
    assert c.total == 7
    assert len(c) == 7
    assert c == Counter(7)
    assert c != 7
    """
)
COUNTER = """
class Counter:
    def __init__(self, start): self.total = start
    def add(self, amount): self.total += amount
    def __len__(self): return self.total
    def __eq__(self, other): return self.total == other.total
"""
SORTS_IN_PLACE = asserts("a = [3, 1, 2]\nf(a)\nassert a == [1, 2, 3]")
ADDS_ONE_TO_INPUT = cases(("3\n", "4\n"), ("10", "11"))

_TYPES = asserts(
    """
    import datetime, decimal, fractions
    assert f(2**200) == 2**200
    assert f((1, [2.5, None], {"a": {3}})) == (1, [2.5, None], {"a": {3}})
    assert f(b"\\x00\\xff") == b"\\x00\\xff"
    assert f("\\ud800 \\u00e9") == "\\ud800 \\u00e9"
    assert f({(1, 2): frozenset({3j})}) == {(1, 2): frozenset({3j})}
    assert f(decimal.Decimal("1.10")) == decimal.Decimal("1.1")
    assert f(fractions.Fraction(1, 3)) == fractions.Fraction(1, 3)
    assert f(datetime.date(2000, 2, 29)) == datetime.date(2000, 2, 29)
    assert str(f(float("nan"))) == "nan"
    """
)
_LIBRARY = """
    import asyncio, collections, concurrent.futures, ctypes, dataclasses, json, os, sqlite3
    import subprocess, tempfile, threading, unittest, xml.dom.minidom
    def f(x):
        with tempfile.NamedTemporaryFile("w+") as file:
            file.write(json.dumps(x))
            file.flush()
            with open(file.name) as again:
                y = json.load(again)
        threads = [threading.Thread(target=lambda: None) for _ in range(3)]
        for one in threads: one.start()
        for one in threads: one.join()
        pid = os.fork()
        if pid == 0: os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
        return y + sqlite3.connect(":memory:").execute("select 1").fetchone()[0]
"""


def _passes(name: str, proves: str, work: Job) -> Check:
    return ending("right", name, proves, work, "passed")


@check("right", "a property's seed", "A job's seed decides what Hypothesis tries, and only it.")
async def _seed(bench: Bench) -> str:
    tests = pytest_file(
        """
        from hypothesis import given, settings, strategies as st
        from solution import f
        @settings(max_examples=5)
        @given(st.integers(0, 10**9))
        def test_any(x):
            assert f(x) == x + 1
        """
    )
    shows = "def f(x):\n    print(x)\n    return x + 1"
    jobs = [job(shows, tests, seed=seed) for seed in (7, 7, 8)]
    reports = [await bench.run(one) for one in jobs]
    for report in reports:
        must_end(report, "passed")
    first, again, other = [report.output for report in reports]
    if first != again:
        raise Unmet("the same seed has tried other values")
    if first == other:
        raise Unmet("another seed has tried the same values")
    return ""


CHECKS = [
    _passes("a function", "A right function passes plain assertions.", job(RIGHT)),
    _passes(
        "values of every kind",
        "What travels between judge and program arrives as it was sent.",
        job("def f(x): return x", _TYPES),
    ),
    _passes(
        "a class",
        "A class is judged by handles on objects that stay with the program.",
        job(COUNTER, COUNTS, entry_point="Counter", kind="class"),
    ),
    _passes(
        "a property",
        "Files of tests with Hypothesis properties and parameters run.",
        job(RIGHT, ANY_INTEGER),
    ),
    _passes(
        "changed arguments",
        "A task may ask for arguments to be changed in place.",
        job("def f(a): a.sort()", SORTS_IN_PLACE, mutates=True),
    ),
    _passes(
        "standard input and output",
        "A Python program is judged by what it prints.",
        job("print(int(input()) + 1)", ADDS_ONE_TO_INPUT, kind="program", entry_point=""),
    ),
    _passes(
        "helpers of the prompt",
        "Tests may use names of the prompt, which the judge has itself.",
        job(
            "def g(x): return 0\n" + RIGHT,
            asserts("assert f(2) == g(2)"),
            prelude="def g(x):\n    return x + 1\n",
        ),
    ),
    _passes(
        "exceptions",
        "An exception arrives as the same builtin type.",
        job(
            "def f(x): raise KeyError(x)",
            pytest_file(
                """
                import pytest
                from solution import f
                def test_raises():
                    with pytest.raises(KeyError) as caught:
                        f(2)
                    assert caught.value.args == (2,)
                """
            ),
        ),
    ),
    _passes(
        "the standard library",
        "Threads, processes, scratch files and the usual modules are there within the limits.",
        job(_LIBRARY),
    ),
    _seed,
]
