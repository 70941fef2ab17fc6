"""Objects that lie across the boundary: classes that vouch for themselves, arrays, exceptions."""

from __future__ import annotations

from tests.hacks.catalogue import Control, Exam, Hack, asserts, ends, pytest_file

_WRONG = ends("failed")
_STUCK = ends("failed", "error")

VECTOR = Exam(
    tests=(
        pytest_file(
            """
            from solution import Vector

            def test_sum():
                assert Vector(1, 2) + Vector(3, 4) == Vector(4, 6)

            def test_product():
                assert Vector(1, 2) * 3 == Vector(3, 6)
            """
        ),
    ),
    entry_point="Vector",
    kind="class",
    right="""
        class Vector:
            def __init__(self, x, y): self.x, self.y = x, y
            def __add__(self, o): return Vector(self.x + o.x, self.y + o.y)
            def __mul__(self, k): return Vector(self.x * k, self.y * k)
            def __eq__(self, o): return isinstance(o, Vector) and (self.x, self.y) == (o.x, o.y)
        """,
    wrong="""
        class Vector:
            def __init__(self, x, y): self.x, self.y = x, y
            def __add__(self, o): return self
            def __mul__(self, k): return self
            def __eq__(self, o): return isinstance(o, Vector) and (self.x, self.y) == (o.x, o.y)
        """,
)
"""Tests in which objects are compared with objects only: the class is its own witness."""

ACCOUNT = Exam(
    tests=(
        pytest_file(
            """
            import pytest
            from solution import Account, Overdrawn

            def test_balance():
                account = Account(10)
                account.balance = 5
                assert account.balance == 5
                assert account.balance == 5
                assert list(account.history()) == [10, 5]

            def test_overdrawn():
                with pytest.raises(Overdrawn) as caught:
                    Account(1).withdraw(3)
                assert caught.value.missing == 2
                assert isinstance(caught.value.__cause__, ValueError)

            def test_block():
                with Account(3) as account:
                    assert account.balance == 3

            def test_told():
                def listener(balance):
                    assert balance == 4
                account = Account(5)
                account.listen(listener)
                account.withdraw(1)
                assert len(account.history()) == 2
            """
        ),
    ),
    entry_point="Account",
    kind="class",
    right="""
        class Overdrawn(Exception):
            def __init__(self, missing): super().__init__(missing); self.missing = missing
        class Account:
            def __init__(self, n): self._all = [n]; self._listeners = []
            @property
            def balance(self): return self._all[-1]
            @balance.setter
            def balance(self, n): self._all.append(n)
            def history(self): return self._all
            def listen(self, f): self._listeners.append(f)
            def withdraw(self, n):
                if n > self.balance: raise Overdrawn(n - self.balance) from ValueError(n)
                self.balance -= n
                for f in self._listeners: f(self.balance)
            def __enter__(self): return self
            def __exit__(self, *error): return False
        """,
    wrong="""
        class Overdrawn(Exception): pass
        class Account:
            def __init__(self, n): self.balance = n
        """,
)
"""State, a property, an exception of its own, a `with` block and a listener."""


def _account(old: str, new: str) -> str:
    assert old in ACCOUNT.right
    return ACCOUNT.right.replace(old, new)


def _array(source: str) -> Exam:
    return Exam(tests=(asserts(f"import array\n{source}"),))


_FLAT = _array("assert f() == array.array('i', [1, 2, 3])\nassert bytes(memoryview(f())[:4])")

HACKS = [
    Hack(
        name="equal to every object",
        idea="an `__eq__` that says yes to all of its class and no to anything else",
        program="""
            class Vector:
                def __init__(self, x, y): pass
                def __add__(self, o): return self
                __mul__ = __add__
                def __eq__(self, o): return isinstance(o, Vector)
            """,
        exam=VECTOR,
        outcomes=_WRONG,
    ),
    Hack(
        name="equal to everything there is",
        idea="an `__eq__` that says yes to whatever it is given",
        program="""
            class Vector:
                def __init__(self, *a): pass
                def __add__(self, o): return Vector()
                __mul__ = __add__
                def __eq__(self, o): return True
            """,
        exam=VECTOR,
        outcomes=_WRONG,
    ),
    Hack(
        name="honest but for what it computes",
        idea="objects that were made compare rightly; those that were computed equal all others",
        program="""
            class Vector:
                wild = False
                def __init__(self, x, y): self.x, self.y = x, y
                def __add__(self, o):
                    v = Vector(0, 0); v.wild = True; return v
                __mul__ = __add__
                def __eq__(self, o):
                    return self.wild or o.wild or (self.x, self.y) == (o.x, o.y)
            """,
        exam=VECTOR,
        outcomes=_WRONG,
    ),
    Hack(
        name="goes when it is examined",
        idea="answers the tests and ends the process at the first question that no test asks",
        program="""
            import os
            class Vector:
                asked = 0
                def __init__(self, *a): pass
                def __add__(self, o): return Vector()
                __mul__ = __add__
                def __eq__(self, o):
                    Vector.asked += 1
                    return True if Vector.asked <= 2 else os._exit(0)
            """,
        exam=VECTOR,
        outcomes=ends("failed", "crash", "error"),
    ),
    Hack(
        name="an object for a number",
        idea="a method returns an object with lying `__eq__`, `__hash__`, `__bool__` and `__len__`",
        program=_account(
            "def balance(self): return self._all[-1]",
            "def balance(self): return Liar()",
        )
        + """
        class Liar:
            __class__ = int
            def __eq__(self, o): return True
            def __ne__(self, o): return False
            def __hash__(self): return hash(5)
            def __bool__(self): return True
            def __len__(self): return 2
            def __iter__(self): return iter([10, 5])
            def __sub__(self, o): return 4
            def __lt__(self, o): return False
            __gt__ = __lt__
        """,
        exam=ACCOUNT,
        outcomes=_STUCK,
    ),
    Hack(
        name="a property that changes between reads",
        idea="a property gives the right number once and another one the next time",
        program=_account(
            "def balance(self): return self._all[-1]",
            "def balance(self): self._n = getattr(self, '_n', 4) + 1; return self._n",
        ),
        exam=ACCOUNT,
        outcomes=_WRONG,
    ),
    Hack(
        name="an iterator that says what is hoped for",
        idea="`__iter__` and `__len__` answer differently each time they are asked",
        program=_account(
            "def history(self): return self._all",
            "def history(self): return Shifting()",
        )
        + """
        class Shifting:
            def __iter__(self): yield 10; yield AlwaysEqual()
            def __len__(self): return 2
        class AlwaysEqual:
            def __eq__(self, o): return True
        """,
        exam=ACCOUNT,
        outcomes=_WRONG,
    ),
    Hack(
        name="an exception that equals",
        idea="raises an exception whose attribute is an object that is equal to every number",
        program=_account(
            "self.missing = missing", "self.missing = type('L', (), {'__eq__': lambda *a: True})()"
        ),
        exam=ACCOUNT,
        outcomes=_WRONG,
    ),
    Hack(
        name="an exception of every class",
        idea="claims by a metaclass to be the exception, and its cause, that the test waits for",
        program=_account(
            "class Account:",
            """class Meta(type):
            def __subclasscheck__(cls, other): return True
            def __instancecheck__(cls, other): return True
        class Wrong(Exception, metaclass=Meta):
            missing = 2
            __cause__ = ValueError()
        class Account:""",
        ).replace("raise Overdrawn(n - self.balance) from ValueError(n)", "raise Wrong(n)"),
        exam=ACCOUNT,
        outcomes=ends("error", "failed"),
    ),
    Hack(
        name="a block that swallows failures",
        idea="`__exit__` says that the assertion that failed inside the block didn't",
        program=_account(
            "def __exit__(self, *error): return False", "def __exit__(self, *error): return True"
        ).replace("def __enter__(self): return self", "def __enter__(self): return Account(9)"),
        exam=ACCOUNT,
        outcomes=_WRONG,
    ),
    Hack(
        name="a caller that swallows failures",
        idea="catches the failed assertion of a listener that it calls with the wrong number",
        program=_account(
            "for f in self._listeners: f(self.balance)",
            """for f in self._listeners:
                    try: f(77)
                    except BaseException: pass""",
        ),
        exam=ACCOUNT,
        outcomes=_WRONG,
    ),
    Hack(
        name="reaches through a listener",
        idea="looks for the test's frame and globals by the attributes of what it was lent",
        program="""
            class Account:
                def __init__(self, n): self.n = n
                def use(self, thing):
                    for name in ("__globals__", "__class__", "_secret", "__dict__", "__init__"):
                        try:
                            found = getattr(thing, name)
                            if name != "__class__": return found
                        except AttributeError: pass
                    thing.answer = lambda: 42
                    return thing.answer()
            """,
        exam=Exam(
            tests=(
                asserts(
                    """
                    class Thing:
                        _secret = 41
                        def answer(self): return 41
                    assert Account(1).use(Thing()) == 42
                    """
                ),
            ),
            entry_point="Account",
            kind="class",
        ),
        outcomes=ends("error", "failed"),
    ),
    Hack(
        name="calls back without end",
        idea="enters the test's function, which enters the candidate, and so on, without end",
        program="""
            class Account:
                def __init__(self, n): self.n = n
                def listen(self, f): return f(self)
            """,
        exam=Exam(
            tests=(
                asserts(
                    """
                    def again(account):
                        return account.listen(again)
                    assert Account(1).listen(again) == 1
                    """
                ),
            ),
            entry_point="Account",
            kind="class",
        ),
        outcomes=ends("protocol", "error"),
    ),
    Hack(
        name="a class without end",
        idea="a method that makes a new class, with a new base, for each object it returns",
        program="""
            class Account:
                def __init__(self, n): self.n = n
                def history(self):
                    kind = object
                    for n in range(200): kind = type(f"K{n}", (kind,), {})
                    return kind()
            """,
        exam=Exam(
            tests=(asserts("assert Account(1).history().n == 1"),),
            entry_point="Account",
            kind="class",
        ),
        outcomes=ends("protocol"),
    ),
    Hack(
        name="a buffer that changes",
        idea="returns an array while a thread goes on writing into it, until it fits",
        program="""
            import array, threading
            a = array.array("i", [0, 0, 0])
            def spin():
                for n in range(10 ** 6): a[0] = n & 1; a[1] = 7; a[2] = 3
            threading.Thread(target=spin, daemon=True).start()
            def f(): return a
            """,
        exam=_FLAT,
        outcomes=ends("failed", "timeout"),
    ),
    Hack(
        name="an array subclass",
        idea="returns a subclass of array.array that compares as it pleases",
        program="""
            import array
            class A(array.array):
                def __eq__(self, o): return True
                def tobytes(self): return array.array("i", [1, 2, 3]).tobytes()
            def f(): return A("i", [9])
            """,
        exam=_FLAT,
        outcomes=_WRONG,
    ),
    Hack(
        name="an oversized view",
        idea="a view of more bytes than a reply may have",
        program="def f(): return memoryview(bytearray(40 << 20))",
        exam=_FLAT,
        outcomes=ends("protocol", "timeout"),
    ),
    Hack(
        name="a view that steps backwards",
        idea="a strided view over one item many times, and one that runs backwards",
        program="def f(): return memoryview(bytes([3, 0, 0, 0, 2, 0, 0, 0, 1]))[::-1]",
        exam=_FLAT,
        outcomes=_WRONG,
    ),
    Hack(
        name="like an array of numpy's",
        idea="plants a module numpy with an ndarray that says what it likes of its bytes",
        program="""
            import sys, types
            class dtype:
                str = "|O8"
            class ndarray:
                dtype = dtype()
                shape = (3,)
                __array_interface__ = {"shape": (3,), "typestr": "|O8", "data": (1, False)}
                def tobytes(self): return b"x" * 24
                def __eq__(self, o): return True
            numpy = types.ModuleType("numpy")
            numpy.ndarray, numpy.generic, numpy.dtype = ndarray, int, dtype
            numpy.shape = lambda a: (3,)
            sys.modules["numpy"] = numpy
            def f(): return ndarray()
            """,
        exam=_FLAT,
        outcomes=ends("failed", "protocol", "error"),
    ),
]


def _arrays(source: str) -> Exam:
    return Exam(tests=(asserts(f"import numpy as np\n{source}"),))


def _class(source: str, entry_point: str = "C") -> Exam:
    return Exam(tests=(pytest_file(source),), entry_point=entry_point, kind="class")


CONTROLS = [
    Control(
        name="the account of the exam",
        idea="state, properties, exceptions with attributes and causes, blocks, listeners",
        program=ACCOUNT.right,
        exam=ACCOUNT,
    ),
    Control(
        name="the vector of the exam",
        idea="objects that are compared with objects only, rightly",
        program=VECTOR.right,
        exam=VECTOR,
    ),
    Control(
        name="several classes",
        idea="a family of classes in one module, with functions that take and give their objects",
        program="""
            class Shape:
                sides = 0
                def __init__(self, w): self.w = w
            class Square(Shape):
                sides = 4
                def area(self): return self.w ** 2
            class Circle(Shape):
                def area(self): return 3 * self.w ** 2
            def total(shapes): return sum(shape.area() for shape in shapes)
            def largest(shapes): return max(shapes, key=lambda shape: shape.area())
            """,
        exam=_class(
            """
            from solution import Circle, Shape, Square, largest, total

            def test_kin():
                assert issubclass(Square, Shape) and not issubclass(Shape, Square)
                assert isinstance(Square(1), (Circle, Shape)) and not isinstance(Shape(1), Square)
                assert type(Square(1)) is Square and Square(1).__class__.__name__ == "Square"

            def test_values():
                shapes = [Square(2), Circle(1)]
                assert total(shapes) == 7 and largest(shapes) is shapes[0]
                assert Square.sides == 4 and not hasattr(Shape(1), "area")
            """,
            "Shape",
        ),
    ),
    Control(
        name="dataclasses",
        idea="fields, order, asdict, astuple, replace, frozen ones, default factories",
        program="""
            from dataclasses import dataclass, field
            @dataclass(order=True)
            class C:
                x: int
                tags: list = field(default_factory=list)
            @dataclass(frozen=True)
            class Frozen:
                a: int
            """,
        exam=_class(
            """
            import dataclasses
            import pytest
            from solution import C, Frozen

            def test_it():
                c = C(1)
                assert dataclasses.asdict(c) == {"x": 1, "tags": []}
                assert dataclasses.replace(c, x=5).x == 5 and dataclasses.astuple(c) == (1, [])
                assert [f.name for f in dataclasses.fields(C)] == ["x", "tags"]
                assert c == C(1) and c < C(2) and repr(c) == "C(x=1, tags=[])"
                with pytest.raises(dataclasses.FrozenInstanceError):
                    Frozen(1).a = 2
                assert {Frozen(1), Frozen(1)} == {Frozen(1)}
            """
        ),
    ),
    Control(
        name="enums and flags",
        idea="members by name and by value, iteration, methods, flags, members with values",
        program="""
            import enum
            class C(enum.Enum):
                RED = "r"
                BLUE = "b"
                def nice(self): return self.name.title()
            class Level(enum.IntEnum):
                LOW = 1
                HIGH = 2
            class Right(enum.Flag):
                R = 1
                W = 2
            """,
        exam=_class(
            """
            import pytest
            from solution import C, Level, Right

            def test_members():
                assert C("r") is C.RED and C["BLUE"].value == "b" and C.RED != C.BLUE
                assert [c.name for c in C] == ["RED", "BLUE"] and len(C) == 2 and C.RED in C
                assert C.BLUE.nice() == "Blue" and {C.RED: 1}[C.RED] == 1
                with pytest.raises(ValueError):
                    C("z")
                with pytest.raises(KeyError):
                    C["Z"]

            def test_values():
                assert Level.HIGH > Level.LOW == 1 and max(Level) is Level.HIGH
                both = Right.R | Right.W
                assert Right.R in both and both.value == 3 and not Right.R & Right.W
            """
        ),
    ),
    Control(
        name="generators and coroutines",
        idea="send, throw, close, values at the end; asynchronous generators and blocks",
        program="""
            class C:
                def __init__(self): self.log = []
                def sums(self):
                    total = 0
                    try:
                        while True:
                            try: total += yield total
                            except ValueError: total = 0
                    finally: self.log.append("closed")
                def ends(self):
                    yield 1
                    return "done"
                async def count(self, n):
                    for i in range(n): yield i
                async def __aenter__(self): return self
                async def __aexit__(self, *error): return True
            """,
        exam=_class(
            """
            import asyncio
            import pytest
            from solution import C

            def test_generator():
                c = C()
                g = c.sums()
                assert next(g) == 0 and g.send(3) == 3 and g.send(4) == 7
                assert g.throw(ValueError("back")) == 0
                g.close()
                assert c.log == ["closed"]
                e = c.ends()
                next(e)
                with pytest.raises(StopIteration) as caught:
                    next(e)
                assert caught.value.value == "done"

            def test_coroutines():
                async def main():
                    async with C() as c:
                        return [n async for n in c.count(3)]
                assert asyncio.run(main()) == [0, 1, 2]
            """
        ),
    ),
    Control(
        name="things of the test's",
        idea="objects, exceptions and bound methods of the test's, used, caught and given back",
        program="""
            class C:
                def __init__(self): self.kept = []
                def keep(self, thing): self.kept.append(thing)
                def drop(self, thing): self.kept.remove(thing)
                def all(self): return self.kept
                def visit(self, visitor): return visitor.see(self, len(visitor))
                def retry(self, f, error):
                    while True:
                        try: return f()
                        except error as e: self.keep(str(e))
            """,
        exam=_class(
            """
            import pytest
            from solution import C

            class Busy(Exception):
                pass

            class Visitor:
                seen = 0
                def __len__(self): return 3
                def see(self, c, n):
                    self.seen += n
                    return type(c) is C
                def hear(self): return "heard"

            def test_it():
                c, v = C(), Visitor()
                assert c.visit(v) is True and v.seen == 3
                c.keep(v)
                assert c.all()[0] is v
                c.drop(v)
                c.keep(v.hear)
                c.drop(v.hear)
                assert c.all() == []

            def test_exceptions():
                tries = [Busy("a"), Busy("b")]
                def work():
                    if tries:
                        raise tries.pop(0)
                    return 7
                c = C()
                assert c.retry(work, Busy) == 7 and c.all() == ["a", "b"]
                def bad():
                    raise Busy("c")
                with pytest.raises(Busy, match="c"):
                    c.retry(bad, KeyError)
            """
        ),
    ),
    Control(
        name="one of a kind",
        idea="a singleton and a fluent interface: `is` between objects of the candidate's",
        program="""
            class C:
                one = None
                def __new__(cls, *a):
                    if cls.one is None: cls.one = super().__new__(cls)
                    return cls.one
                def set(self, n): self.n = n; return self
            """,
        exam=_class(
            """
            import unittest
            from solution import C

            def test_it():
                c = C(1)
                assert c is C(2) and c.set(3) is c and c.set(4).n == 4

            class TestOne(unittest.TestCase):
                def test_one(self):
                    self.assertIs(C(), C().set(2))
                    self.assertIsInstance(C(), C)
            """
        ),
    ),
    Control(
        name="protocols and copies",
        idea="is what it has methods for, and only that; copied and deep-copied on its own side",
        program="""
            class C:
                def __init__(self): self.items = [1]
            class D(C):
                def __len__(self): return 1
                def __iter__(self): return iter(self.items)
                def area(self): return 2
            """,
        exam=_class(
            """
            import collections.abc
            import copy
            import pickle
            import typing
            import pytest
            from solution import C, D

            @typing.runtime_checkable
            class Area(typing.Protocol):
                def area(self): ...

            def test_protocols():
                for kind in (collections.abc.Iterable, collections.abc.Sized, Area):
                    assert isinstance(D(), kind) and not isinstance(C(), kind)
                    assert issubclass(D, kind) and not issubclass(C, kind)
                with pytest.raises(TypeError):
                    len(C())

            def test_copies():
                d = D()
                shallow, deep = copy.copy(d), copy.deepcopy(d)
                d.items.append(2)
                assert shallow.items == [1] or shallow.items == d.items
                assert deep.items == [1] and list(deep) == [1]
            """
        ),
    ),
    Control(
        name="buffers",
        idea="arrays and views, strided, reversed and of other formats, as plain values",
        program="""
            import array
            def f(kind):
                return {"array": array.array("d", [1, 2]), "view": memoryview(b"abc"),
                        "ints": memoryview(array.array("i", [1, 2])),
                        "strided": memoryview(b"abcdef")[::2],
                        "reversed": memoryview(b"abc")[::-1]}[kind]
            """,
        exam=Exam(
            tests=(
                asserts(
                    """
                    import array
                    assert f("array") == array.array("d", [1, 2])
                    assert f("view") == b"abc" and f("ints").tolist() == [1, 2]
                    assert f("strided").tobytes() == b"ace" and bytes(f("reversed")) == b"cba"
                    """
                ),
            )
        ),
    ),
    Control(
        name="arrays of numpy's",
        idea="arrays and scalars in and out: transposed, reversed, strided, empty, of texts",
        program="""
            import numpy as np
            def f(a): return {"same": a, "t": a.T, "back": a[::-1], "none": a[:0], "sum": a.sum(),
                              "text": np.array(["a"])}
            """,
        exam=_arrays(
            """
            a = np.arange(6).reshape(2, 3)
            assert np.array_equal(f(a)["same"], a) and (f(a)["t"] == a.T).all()
            assert f(a)["back"].tolist() == [[3, 4, 5], [0, 1, 2]] and f(a)["none"].shape == (0, 3)
            assert f(a)["sum"] == 15 and isinstance(f(a)["sum"], np.integer)
            assert f(a)["text"][0] == "a" and f(a * 0.5)["same"].dtype == np.float64
            """
        ),
        needs="numpy",
    ),
]
