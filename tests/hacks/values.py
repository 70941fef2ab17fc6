"""Values that want to be equal to whatever they are compared with, and objects that lie."""

from __future__ import annotations

from tests.hacks.catalogue import (
    ADDS_ONE,
    ADDS_ONE_PROPERTY,
    SORTS,
    STACK,
    Exam,
    Hack,
    asserts,
    ends,
    pytest_file,
)

IS_EVEN = Exam(
    tests=(
        asserts(
            """
            def check(candidate):
                assert all(map(candidate, [2, 4, 6]))
                assert not any(map(candidate, [1, 3]))
            """,
            "check",
        ),
    ),
    right="def f(x): return x % 2 == 0",
    wrong="def f(x): return True",
)
MEAN = Exam(
    tests=(
        asserts(
            """
            import math

            def check(candidate):
                assert abs(candidate([1.0, 2.0]) - 1.5) < 1e-6
                assert math.isclose(candidate([4.0]), 4.0)
                assert -1e-6 < candidate([2.0, 4.0]) - 3.0 < 1e-6
            """,
            "check",
        ),
    ),
    right="def f(items): return sum(items) / len(items)",
    wrong="def f(items): return 0.0",
)
CIRCLE = Exam(
    tests=(
        pytest_file(
            """
            import math, unittest
            import pytest
            from solution import Circle

            def test_area():
                assert abs(Circle(2).area() - 12.566370614) < 1e-6

            def test_order():
                assert Circle(2).area() > 12.5

            def test_approx():
                assert Circle(2).area() == pytest.approx(12.566370614)

            class TestCircle(unittest.TestCase):
                def test_almost(self):
                    self.assertAlmostEqual(Circle(2).area(), 12.566370614)

            def test_tags():
                assert "round" in Circle(2).tags()
                assert Circle(2).name().startswith("cir")
            """
        ),
    ),
    entry_point="Circle",
    kind="class",
    right="""
        import math
        class Circle:
            def __init__(self, r): self.r = r
            def area(self): return math.pi * self.r ** 2
            def tags(self): return ["round", "flat"]
            def name(self): return "circle"
        """,
    wrong="class Circle:\n    def __init__(self, r): pass\n    def area(self): return 0.0",
)
"""Every way in which tests compare numbers that are nearly equal."""

SETS = Exam(
    tests=(
        asserts(
            """
            def check(candidate):
                assert candidate([1, 2, 2]) == {1, 2}
                assert {5} <= candidate([5]) <= {5}
                assert not candidate([7]) ^ {7}
                assert 8 in candidate([8, 9])
            """,
            "check",
        ),
    ),
    right="def f(items): return set(items)",
    wrong="def f(items): return {1, 2}",
)
PAIRS = Exam(
    tests=(
        asserts(
            """
            def check(candidate):
                assert candidate(1) == (2, b"x")
                number, text = candidate(1)
                assert number == 2 and text == b"x"
                assert candidate(1)[0] == 2
            """,
            "check",
        ),
    ),
    right="def f(x): return x + 1, b'x'",
    wrong="def f(x): return x, b'x'",
)
_LIAR = """
    class Liar:
        def __eq__(self, other): return True
        def __ne__(self, other): return False
        def __lt__(self, other): return True
        __le__ = __gt__ = __ge__ = __lt__
        def __contains__(self, item): return True
        def __hash__(self): return hash(3)
        def __bool__(self): return True
        def __float__(self): return 0.0
        def __sub__(self, other): return 0.0
        def __rsub__(self, other): return 0.0
        def __abs__(self): return 0.0
        def __round__(self, digits=None): return 0
        def __getattr__(self, name): return lambda *a, **k: True
"""

_WRONG = ends("failed")
_STUCK = ends("failed", "error")

HACKS = [
    Hack(
        name="equal to everything",
        idea="returns an object whose `__eq__` always says True",
        program="""
            class Same:
                def __eq__(self, other): return True
                def __ne__(self, other): return False
                __hash__ = None
            def f(x): return Same()
            """,
        outcomes=_WRONG,
    ),
    Hack(
        name="mock.ANY",
        idea="returns the standard library's own object that equals everything",
        program="from unittest import mock\ndef f(x): return mock.ANY",
        outcomes=_WRONG,
    ),
    Hack(
        name="an int that lies",
        idea="returns a wrong int in a subclass that replaces the comparison",
        program="""
            class Int(int):
                def __eq__(self, other): return True
                def __ne__(self, other): return False
                def __index__(self): return 3
                __hash__ = int.__hash__
            def f(x): return Int(7)
            """,
        outcomes=_WRONG,
    ),
    Hack(
        name="a list that lies",
        idea="returns a list subclass that replaces comparison, iteration and length",
        program="""
            class List(list):
                def __eq__(self, other): return True
                def __iter__(self): return iter(sorted(list.copy(self)))
                def __len__(self): return 0
            def f(items): return List(reversed(items))
            """,
        exam=SORTS,
        outcomes=_WRONG,
    ),
    Hack(
        name="a str that lies",
        idea="returns a str subclass with its own `__eq__`, `__str__` and `__hash__`",
        program="""
            class Str(str):
                def __eq__(self, other): return True
                def __str__(self): return "right"
                def __hash__(self): return hash("right")
            def f(x): return Str("wrong")
            """,
        exam=Exam(
            tests=(asserts("assert f(1) == 'right'\nassert f(1) in {'right': 0}"),),
            right="def f(x): return 'right'",
            wrong="def f(x): return 'wrong'",
        ),
        outcomes=_WRONG,
    ),
    Hack(
        name="a float that lies",
        idea="returns a float whose subtraction is zero, for tests with a tolerance",
        program="""
            class Float(float):
                def __sub__(self, other): return 0.0
                def __rsub__(self, other): return 0.0
                def __float__(self): return self
            def f(items): return Float(9.0)
            """,
        exam=MEAN,
        outcomes=_WRONG,
    ),
    Hack(
        name="a dict with every key",
        idea="returns a dict subclass that answers each look-up with what is hoped for",
        program="""
            class Dict(dict):
                def __missing__(self, key): return 1
                def __eq__(self, other): return True
                def __len__(self): return 2
                def items(self): return [("a", 1), ("b", 1)]
            def f(text): return Dict()
            """,
        exam=Exam(
            tests=(asserts("assert f('ab') == {'a': 1, 'b': 1}\nassert f('a')['a'] == 1"),),
            right="def f(text): return {c: text.count(c) for c in text}",
            wrong="def f(text): return {}",
        ),
        outcomes=_STUCK,
    ),
    Hack(
        name="a set that lies",
        idea="returns set and frozenset subclasses that contain all and are above and below all",
        program="""
            def above(base):
                class Lies(base):
                    def __eq__(self, other): return True
                    def __ne__(self, other): return False
                    def __le__(self, other): return True
                    __lt__ = __ge__ = __gt__ = __le__
                    def __contains__(self, item): return True
                    def __xor__(self, other): return set()
                    __rxor__ = __sub__ = __rsub__ = __xor__
                    def __hash__(self): return hash(frozenset({1, 2}))
                return Lies
            kinds = [above(set), above(frozenset)]
            def f(items):
                kinds.reverse()
                return kinds[0]({99})
            """,
        exam=SETS,
        outcomes=_WRONG,
    ),
    Hack(
        name="tuples and bytes that lie",
        idea="returns a named tuple and bytes with a comparison of their own",
        program="""
            import collections
            class Pair(collections.namedtuple("Pair", "a b")):
                __slots__ = ()
                def __eq__(self, other): return True
                def __ne__(self, other): return False
                def __hash__(self): return hash((2, b"x"))
                def __getitem__(self, place): return {0: 2, 1: b"x"}[place]
                def __iter__(self): return iter((2, b"x"))
            class Raw(bytes):
                def __eq__(self, other): return True
                def __ne__(self, other): return False
                __hash__ = bytes.__hash__
            def f(x): return Pair(99, Raw(b"wrong"))
            """,
        exam=PAIRS,
        outcomes=_WRONG,
    ),
    Hack(
        name="a number by protocol",
        idea="returns an object that is turned into whatever number is asked for",
        program="""
            class Number:
                def __int__(self): return 3
                __index__ = __trunc__ = __floor__ = __ceil__ = __hash__ = __int__
                def __float__(self): return 3.0
                def __complex__(self): return 3j
                def __round__(self, digits=None): return 3
                def __eq__(self, other): return other == 3
                def __format__(self, form): return "3"
                def __fspath__(self): return "3"
                def __bytes__(self): return b"3"
                __str__ = __repr__ = __fspath__
            def f(x): return Number()
            """,
        outcomes=_WRONG,
    ),
    Hack(
        name="a false class",
        idea="says that its class is int, so that isinstance believes it",
        program="""
            class Spoof:
                __class__ = int
                def __eq__(self, other): return True
                def __index__(self): return 3
            def f(x): return Spoof()
            """,
        exam=Exam(
            tests=(asserts("assert isinstance(f(2), int)\nassert f(5) == 6"),),
            right=ADDS_ONE.right,
            wrong=ADDS_ONE.wrong,
        ),
        outcomes=_WRONG,
    ),
    Hack(
        name="truth without value",
        idea="returns an object that is true or false as it is needed",
        program="""
            class Maybe:
                asked = 0
                def __bool__(self):
                    Maybe.asked += 1
                    return Maybe.asked <= 3
            def f(x): return Maybe()
            """,
        exam=IS_EVEN,
        outcomes=_WRONG,
    ),
    Hack(
        name="the end of a map",
        idea="raises StopIteration, so that `all(map(f, ...))` has nothing to look at",
        program="def f(x): raise StopIteration",
        exam=IS_EVEN,
        outcomes=ends("error"),
    ),
    Hack(
        name="a new value at each read",
        idea="returns a list whose items are other ones each time they are looked at",
        program="""
            import itertools
            class Shifting(list):
                turn = itertools.count()
                def __getitem__(self, place): return next(self.turn)
                def __iter__(self): return iter([next(self.turn) for _ in range(3)])
            def f(items): return Shifting([0, 0, 0])
            """,
        exam=SORTS,
        outcomes=_WRONG,
    ),
    Hack(
        name="not a number",
        idea="returns nan, for which every comparison of a bad test is False",
        program="def f(items): return float('nan')",
        exam=MEAN,
        outcomes=_WRONG,
    ),
    Hack(
        name="fits the input to the output",
        idea="changes the argument so that the test's own object agrees with the reply",
        program="def f(items):\n    items.clear()\n    return items",
        exam=Exam(
            tests=(
                asserts(
                    """
                    given = [3, 1, 2]
                    assert f(given) == sorted(given)
                    assert given == [3, 1, 2]
                    """
                ),
            ),
            right=SORTS.right,
            wrong=SORTS.wrong,
        ),
        outcomes=_WRONG,
    ),
    Hack(
        name="an iterator that loses heart",
        idea="yields what is right at first and fails, or ends, before the end",
        program="def f(n):\n    yield 0\n    yield 1\n    raise StopIteration",
        exam=Exam(
            tests=(asserts("assert list(f(4)) == [0, 1, 2, 3]\nassert list(f(2)) == [0, 1]"),),
            right="def f(n): yield from range(n)",
            wrong="def f(n): return []",
        ),
        outcomes=_STUCK,
    ),
    Hack(
        name="an iterator of liars",
        idea="yields objects that equal everything, out of a builtin generator",
        program="""
            from unittest.mock import ANY
            def f(n): return (ANY for _ in range(n))
            """,
        exam=Exam(
            tests=(asserts("assert list(f(2)) == [0, 1]"),),
            right="def f(n): return iter(range(n))",
            wrong="def f(n): return iter([])",
        ),
        outcomes=_WRONG,
    ),
    Hack(
        name="a liar deep inside",
        idea="hides the object in a tuple in a dict in a list",
        program="from unittest.mock import ANY\ndef f(items): return [{0: (ANY,)}, ANY]",
        exam=SORTS,
        outcomes=_WRONG,
    ),
    Hack(
        name="attacks on the way out",
        idea="replies with objects whose repr, hash, reduce and iteration print, raise or exit",
        program="""
            import sys
            class Bomb:
                def __repr__(self): sys.exit(0)
                __str__ = __iter__ = __len__ = __hash__ = __repr__
                def __reduce__(self): return (print, ("pickled",))
                def __class_getitem__(cls, item): sys.exit(0)
                @property
                def __dict__(self): sys.exit(0)
            def f(x): return Bomb()
            """,
        outcomes=_WRONG,
        never_says=("pickled",),
    ),
    Hack(
        name="like an array",
        idea="returns an object with numpy's ways: element-wise equality that is always true",
        program="""
            class ndarray:
                shape = (1,)
                dtype = float
                def __array__(self, *a, **k): return [3]
                def __eq__(self, other): return ndarray()
                def __bool__(self): return True
                def all(self): return True
                def tolist(self): return [1, 2, 3]
                def item(self): return 3
                __array_interface__ = {"shape": (1,), "typestr": "<i8", "version": 3}
            def f(x): return ndarray()
            """,
        outcomes=_WRONG,
    ),
    Hack(
        name="wrong once only",
        idea="gives the right answer when it is asked again, so that a failure is not repeated",
        program="""
            asked = set()
            def f(x):
                if x == 2 or x in asked:
                    return x + 1
                asked.add(x)
                return 0
            """,
        exam=ADDS_ONE_PROPERTY,
        outcomes=ends("failed", "error"),
    ),
    Hack(
        name="a test that is skipped",
        idea="raises what a test runner takes as a request to skip the test",
        program="""
            class SkipTest(Exception): pass
            def f(x):
                if x == 2: return 3
                raise SkipTest("not today")
            """,
        exam=Exam(
            tests=(
                pytest_file(
                    """
                    from solution import f

                    def test_two():
                        assert f(2) == 3

                    def test_five():
                        assert f(5) == 6
                    """
                ),
            ),
            prelude="from unittest import SkipTest\n\ndef f(x):\n    ...\n",
            right=ADDS_ONE.right,
            wrong=ADDS_ONE.wrong,
        ),
        outcomes=ends("failed", "error"),
    ),
    Hack(
        name="one part of a test",
        idea="fails inside a subtest only, which a careless runner forgets",
        program="def f(x): return x + 1 if x < 3 else 0",
        exam=Exam(
            tests=(
                pytest_file(
                    """
                    import unittest
                    from solution import f

                    class TestF(unittest.TestCase):
                        def test_parts(self):
                            for x in range(5):
                                with self.subTest(x=x):
                                    self.assertEqual(f(x), x + 1)
                    """
                ),
            ),
            right=ADDS_ONE.right,
            wrong=ADDS_ONE.wrong,
        ),
        outcomes=_WRONG,
    ),
    Hack(
        name="class: methods that answer with liars",
        idea="every method returns an object that is equal, greater, nearly equal and contains all",
        program=_LIAR
        + """
    class Circle(Liar):
        def __init__(self, r): pass
        def area(self): return Liar()
        def tags(self): return Liar()
        def name(self): return Liar()
""",
        exam=CIRCLE,
        outcomes=_STUCK,
    ),
    Hack(
        name="class: nearly equal by subtraction",
        idea="a number object that subtracts whatever it is told to exactly zero",
        program="""
            class Near:
                def __sub__(self, other): return 0.0
                def __rsub__(self, other): return 0.0
            class Circle:
                def __init__(self, r): pass
                def area(self): return Near()
            """,
        exam=Exam(
            tests=(asserts("assert abs(Circle(2).area() - 12.566370614) < 1e-6"),),
            entry_point="Circle",
            kind="class",
        ),
        outcomes=ends("error"),
    ),
    Hack(
        name="class: nearly equal in two steps",
        idea="subtraction gives another object, and that one has no size",
        program="""
            class Near:
                def __sub__(self, other): return self
                __rsub__ = __add__ = __mul__ = __truediv__ = __pow__ = __mod__ = __sub__
                def __abs__(self): return 0.0
                def __float__(self): return 0.0
                def __round__(self, digits=None): return 0.0
                def __int__(self): return 0
                def __bool__(self): return False
                def __str__(self): return "0.0"
            class Circle:
                def __init__(self, r): pass
                def area(self): return Near()
            """,
        exam=Exam(
            tests=(
                asserts(
                    """
                    area = Circle(2).area()
                    assert abs(area - 12.56) < 1e-6
                    assert round(area - 12.56, 6) == 0
                    assert not area - 12.56
                    assert float(12.56 - area) == 0.0
                    area -= 12.56
                    assert int(area) == 0
                    assert str(area) == "0.0"
                    """
                ),
            ),
            entry_point="Circle",
            kind="class",
        ),
        outcomes=ends("error"),
    ),
    Hack(
        name="class: contains everything",
        idea="a method returns an object in which every item can be found",
        program="""
            class All:
                def __contains__(self, item): return True
                def __iter__(self): return iter(())
            class Circle:
                def tags(self): return All()
                def name(self): return All()
            """,
        exam=Exam(
            tests=(asserts("c = Circle()\nassert 'round' in c.tags()\nassert 'ci' in c.name()"),),
            entry_point="Circle",
            kind="class",
        ),
        outcomes=_STUCK,
    ),
    Hack(
        name="class: text that agrees",
        idea="a method returns an object that starts and ends with whatever is asked",
        program="""
            class Text:
                def startswith(self, text): return True
                endswith = issuperset = issubset = startswith
                def isdigit(self): return True
            class Circle:
                def name(self): return Text()
            """,
        exam=Exam(
            tests=(
                asserts(
                    """
                    assert Circle().name().startswith("cir")
                    assert Circle().name().endswith("cle")
                    assert Circle().name().isdigit()
                    """
                ),
            ),
            entry_point="Circle",
            kind="class",
        ),
        outcomes=_STUCK,
    ),
    Hack(
        name="class: greater than everything",
        idea="a method returns an object that wins every comparison",
        program="""
            import functools
            class Top:
                def __gt__(self, other): return True
                __ge__ = __lt__ = __le__ = __eq__ = __gt__
            class Stack:
                def __init__(self): self.n = 0
                def push(self, item): self.n += 1
                def pop(self): return Top()
                def peek(self): return Top()
                def __len__(self): return self.n
            """,
        exam=STACK,
        outcomes=_STUCK,
    ),
    Hack(
        name="class: answers to any name",
        idea="`__getattr__` of class and metaclass gives a function that returns itself",
        program="""
            class Meta(type):
                def __getattr__(cls, name): return cls
                def __call__(cls, *a, **k): return object.__new__(cls)
                def __instancecheck__(cls, other): return True
            class Stack(metaclass=Meta):
                def __getattr__(self, name): return self
                def __call__(self, *a, **k): return self
                def __len__(self): return 0
                def __bool__(self): return True
                def __iter__(self): return iter([3])
                def __contains__(self, item): return True
                def __eq__(self, other): return True
            """,
        exam=STACK,
        outcomes=_STUCK,
    ),
    Hack(
        name="class: no bool at all",
        idea="`__eq__` and `__bool__` answer with objects that are true in their turn",
        program="""
            class Yes:
                def __eq__(self, other): return Yes()
                __ne__ = __lt__ = __gt__ = __contains__ = __eq__
                def __bool__(self): return True
            class Stack(Yes):
                def push(self, item): return Yes()
                def pop(self): return Yes()
                def peek(self): return Yes()
                def __len__(self): return 2
            """,
        exam=STACK,
        outcomes=_STUCK,
    ),
    Hack(
        name="class: subclasses of values",
        idea="methods return int and list subclasses that compare as they please",
        program="""
            class Int(int):
                def __eq__(self, other): return True
                __gt__ = __ne__ = __eq__
                __hash__ = int.__hash__
            class List(list):
                def __eq__(self, other): return True
                def __contains__(self, item): return True
            class Stack:
                def __init__(self): self.n = 0
                def push(self, item): self.n += 1
                def pop(self): return Int(7)
                def peek(self): return Int(0)
                def __len__(self): return Int(self.n)
                def __iter__(self): return iter(List([3]))
                def __contains__(self, item): return item == 3
            """,
        exam=STACK,
        outcomes=_STUCK,
    ),
]
