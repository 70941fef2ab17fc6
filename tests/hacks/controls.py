"""Right programs in unusual dress: each must pass, or the judge is too strict."""

from __future__ import annotations

import textwrap
from typing import Any

from tests.hacks.catalogue import ADDS_ONE_PROPERTY, STACK, Control, Exam, asserts


def _function(source: str, **fields: Any) -> Exam:
    return Exam(tests=(asserts(textwrap.dedent(source)),), **fields)


def _class(source: str, entry_point: str = "C", **fields: Any) -> Exam:
    return _function(source, entry_point=entry_point, kind="class", **fields)


FUNCTIONS = [
    Control(
        name="a generator",
        idea="returns a generator, which the test consumes",
        program="def f(n):\n    yield from range(n)\n    yield 'end'",
        exam=_function(
            """
            assert list(f(2)) == [0, 1, 'end']
            assert next(iter(f(1))) == 0
            assert [x for x in f(0)] == ['end']
            """
        ),
    ),
    Control(
        name="an endless generator",
        idea="returns a generator of which only the beginning is wanted",
        program="import itertools\ndef f(n): return itertools.count(n)",
        exam=_function("import itertools\nassert list(itertools.islice(f(3), 2)) == [3, 4]"),
    ),
    Control(
        name="range, map, filter, zip",
        idea="returns builtin iterables other than lists",
        program="""
            def f(kind):
                return {"range": range(1, 9, 2), "map": map(str, [1, 2]), "zip": zip("ab", [1, 2]),
                        "filter": filter(None, [0, 1]), "enumerate": enumerate("a"),
                        "reversed": reversed([1, 2])}[kind]
            """,
        exam=_function(
            """
            assert f("range") == range(1, 9, 2)
            assert f("range")[1] == 3
            assert list(f("map")) == ["1", "2"]
            assert dict(f("zip")) == {"a": 1, "b": 2}
            assert sum(f("filter")) == 1
            assert list(f("enumerate")) == [(0, "a")]
            assert tuple(f("reversed")) == (2, 1)
            """
        ),
    ),
    Control(
        name="views of a dict",
        idea="returns keys, values and items of dicts as they are",
        program="""
            from collections import OrderedDict
            def f(kind):
                return getattr((OrderedDict if kind == "keys" else dict)(a=1, b=[2]), kind)()
            """,
        exam=_function(
            """
            assert f("keys") == {"a", "b"}
            assert sorted(f("keys")) == ["a", "b"]
            assert len(f("values")) == 2
            assert [2] in f("values")
            assert list(f("items")) == [("a", 1), ("b", [2])]
            assert ("a", 1) in f("items")
            """
        ),
    ),
    Control(
        name="collections",
        idea="returns a named tuple, Counter, defaultdict, OrderedDict, deque and ChainMap's dict",
        program="""
            import collections as c
            Point = c.namedtuple("Point", "x y")
            def f(kind):
                if kind == "point": return [Point(1, Point(2, 3))]
                if kind == "counter": return c.Counter("aab")
                if kind == "default":
                    d = c.defaultdict(list); d[1].append(2); return d
                if kind == "ordered": return c.OrderedDict([(2, 1), (1, 2)])
                if kind == "deque": return c.deque([1, 2])
                return dict(c.ChainMap({1: 2}, {3: 4}))
            """,
        exam=_function(
            """
            import collections
            assert f("point") == [(1, (2, 3))]
            assert f("counter") == {"a": 2, "b": 1}
            assert f("counter") == collections.Counter("aab")
            assert f("default") == {1: [2]}
            assert list(f("ordered")) == [2, 1]
            assert f("deque") == collections.deque([1, 2])
            assert f("chain") == {1: 2, 3: 4}
            """
        ),
    ),
    Control(
        name="enumerations",
        idea="returns members of IntEnum, IntFlag and an Enum of str",
        program="""
            import enum
            class Level(enum.IntEnum):
                LOW = 1
                HIGH = 2
            class Flag(enum.IntFlag):
                A = 1
                B = 2
            class Colour(str, enum.Enum):
                RED = "red"
            def f(kind):
                return {"level": Level.HIGH, "flag": Flag.A | Flag.B, "colour": Colour.RED}[kind]
            """,
        exam=_function(
            "assert f('level') == 2\nassert f('flag') == 3\nassert f('colour') == 'red'"
        ),
    ),
    Control(
        name="bytes and the like",
        idea="returns bytes, bytearray and memoryview",
        program="def f(kind): return kind(b'\\x00\\xff')",
        exam=_function(
            """
            assert f(bytes) == b"\\x00\\xff"
            assert f(bytearray) == bytearray(b"\\x00\\xff")
            assert isinstance(f(bytearray), bytearray)
            assert bytes(f(memoryview)) == b"\\x00\\xff"
            assert f(memoryview)[1] == 255
            """
        ),
    ),
    Control(
        name="numbers of the standard library",
        idea="returns Decimal, Fraction and complex numbers, nested",
        program="""
            from decimal import Decimal
            from fractions import Fraction
            def f(): return {Decimal("1.10"): [Fraction(1, 3), 1j], "nan": Decimal("NaN")}
            """,
        exam=_function(
            """
            from decimal import Decimal
            from fractions import Fraction
            assert f()[Decimal("1.1")] == [Fraction(1, 3), 1j]
            assert str(list(f())[0]) == "1.10"
            assert f()["nan"].is_nan()
            """
        ),
    ),
    Control(
        name="dates and times",
        idea="returns dates, times, and differences, with and without a zone",
        program="""
            import datetime as d
            def f(day):
                assert type(day) is d.date
                later = d.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=d.timezone.utc)
                return day + d.timedelta(1), later, d.time(1, 2), d.timedelta(days=-1, hours=2)
            """,
        exam=_function(
            """
            import datetime as d
            day, later, time, delta = f(d.date(2024, 2, 28))
            assert day == d.date(2024, 2, 29)
            assert later == d.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=d.timezone.utc)
            assert time == d.time(1, 2)
            assert delta == d.timedelta(hours=-22)
            """
        ),
    ),
    Control(
        name="floats at the edge",
        idea="returns nan, infinities, negative zero and the smallest float",
        program="def f(x): return {'z': -0.0, 't': 5e-324}[x] if x in 'zt' else float(x)",
        exam=_function(
            """
            import math
            assert math.isnan(f("nan"))
            assert f("inf") == math.inf and f("-inf") == -math.inf
            assert math.copysign(1, f("z")) == -1
            assert f("t") == 5e-324
            assert f("0.1") == 0.1
            """
        ),
    ),
    Control(
        name="big integers",
        idea="takes and returns integers of thousands of digits",
        program="def f(x): return x ** 3 + 1",
        exam=_function("assert f(10 ** 5000) == 10 ** 15000 + 1\nassert f(-2**53) == 1 - 2**159"),
    ),
    Control(
        name="text at the edge",
        idea="returns lone surrogates, nul, and signs outside the first plane",
        program="def f(): return '\\ud800\\x00\\U0001f600e\\u0301\\x1c'",
        exam=_function(
            "assert f() == '\\ud800\\x00\\U0001f600e\\u0301\\x1c'\nassert len(f()) == 6"
        ),
    ),
    Control(
        name="nested two hundred deep",
        idea="takes and returns lists in lists in lists",
        program="def f(x):\n    return [x]",
        exam=_function(
            """
            deep = []
            for _ in range(200):
                deep = [deep]
            assert f(deep) == [deep]
            """
        ),
    ),
    Control(
        name="keys of all kinds",
        idea="returns a dict and a set with tuples, frozensets, None, bools and floats in them",
        program="""
            def f():
                return {None: 1, True: 2, (1, frozenset({2})): 3, 2.5: 4, b"x": 5, ...: 6}, {()}
            """,
        exam=_function(
            """
            assert f()[0] == {None: 1, True: 2, (1, frozenset({2})): 3, 2.5: 4, b"x": 5, ...: 6}
            assert f()[1] == {()}
            assert f()[0][1] == 2
            """
        ),
    ),
    Control(
        name="subclasses that add nothing",
        idea="returns instances of its own subclasses of str, float, list, dict and set",
        program="""
            class S(str): pass
            class F(float): pass
            class L(list): pass
            class D(dict): pass
            class T(set): pass
            def f(): return L([S("a"), F(1.5), D(k=L()), T({1})])
            """,
        exam=_function("assert f() == ['a', 1.5, {'k': []}, {1}]"),
    ),
    Control(
        name="recursion and closures",
        idea="nested functions that call themselves, nonlocal names, a decorator with arguments",
        program="""
            import functools
            def twice(times):
                def wrap(function):
                    @functools.wraps(function)
                    def inner(*a, **k):
                        for _ in range(times):
                            result = function(*a, **k)
                        return result
                    return inner
                return wrap
            @twice(2)
            def f(n):
                count = 0
                def go(k):
                    nonlocal count
                    count += 1
                    return k if k < 2 else go(k - 1) + go(k - 2)
                return go(n), count
            """,
        exam=_function("assert f(7) == (13, 41)\nassert f(0) == (0, 1)"),
    ),
    Control(
        name="deep recursion",
        idea="raises the recursion limit and uses it",
        program="""
            import sys
            sys.setrecursionlimit(20_000)
            def f(n): return 0 if n == 0 else 1 + f(n - 1)
            """,
        exam=_function("assert f(5_000) == 5_000"),
    ),
    Control(
        name="lru_cache",
        idea="the entry point is no function but a cache around one",
        program="""
            import functools
            @functools.lru_cache(maxsize=None)
            def f(n): return n if n < 2 else f(n - 1) + f(n - 2)
            """,
        exam=_function("assert f(80) == 23416728348467685\nassert f(n=1) == 1"),
    ),
    Control(
        name="a callable object",
        idea="the entry point is an instance with `__call__`, made by a metaclass",
        program="""
            class Meta(type):
                def __new__(m, name, bases, space):
                    return super().__new__(m, name, bases, {**space, "step": 1})
            class Adder(metaclass=Meta):
                def __call__(self, x): return x + self.step
            f = Adder()
            """,
    ),
    Control(
        name="a lambda and a partial",
        idea="the entry point is a partial of a lambda",
        program="from functools import partial\nf = partial(lambda step, x: x + step, 1)",
    ),
    Control(
        name="state between calls",
        idea="counts its calls in a global name and in a default argument",
        program="""
            calls = 0
            def f(seen=[]):
                global calls
                calls += 1
                seen.append(calls)
                return sum(seen)
            """,
        exam=_function("assert f() == 1\nassert f() == 3\nassert f() == 6"),
    ),
    Control(
        name="threads",
        idea="computes in a pool of threads, with locks and queues",
        program="""
            import queue, threading
            from concurrent.futures import ThreadPoolExecutor
            def f(x):
                box, lock = queue.Queue(), threading.Lock()
                def add():
                    with lock:
                        box.put(x + 1)
                thread = threading.Thread(target=add, daemon=True)
                thread.start()
                thread.join()
                with ThreadPoolExecutor(4) as pool:
                    assert sum(pool.map(abs, [-1, -2])) == 3
                return box.get()
            """,
    ),
    Control(
        name="async",
        idea="is a coroutine function with tasks and sleeps, awaited and run by the tests",
        program="""
            import asyncio
            async def later(x):
                await asyncio.sleep(0.001)
                return x
            async def f(x): return sum(await asyncio.gather(later(x), later(1)))
            """,
        exam=_function(
            """
            import asyncio
            assert asyncio.run(f(2)) == 3
            async def main():
                return await f(3), await asyncio.gather(f(4), f(5))
            assert asyncio.run(main()) == (4, [5, 6])
            """
        ),
    ),
    Control(
        name="callbacks",
        idea="calls functions that it was given: lambdas, builtins, methods, with key and default",
        program="""
            def f(items, key, *, start=None, found=[].append):
                items = sorted(items, key=key)
                for item in items:
                    found(item)
                return items, max(items, key=key), start() if start else None
            """,
        exam=_function(
            """
            seen = []
            assert f([1, -3, 2], lambda x: x * x, start=dict, found=seen.append) == (
                [1, 2, -3], -3, {})
            assert seen == [1, 2, -3]
            assert f(["b", "aa"], len) == (["b", "aa"], "aa", None)
            assert f(["b", "A"], str.lower)[1] == "b"
            """
        ),
    ),
    Control(
        name="a callback that raises",
        idea="catches what a function that it was given raises, and lets other things through",
        program="""
            def f(act):
                try:
                    return act()
                except ZeroDivisionError:
                    return "zero"
            """,
        exam=_function(
            """
            def fail():
                raise KeyError("k")
            assert f(lambda: 1 // 0) == "zero"
            try:
                f(fail)
                assert f is None
            except KeyError as error:
                assert error.args == ("k",) and f(lambda: 1) == 1
            """
        ),
    ),
    Control(
        name="iterators as arguments",
        idea="takes generators and files and reads them as far as needed",
        program="""
            import itertools
            def f(items, text=None):
                return list(itertools.islice(items, 3)), [*map(str.strip, text or ())]
            """,
        exam=_function(
            """
            import io, itertools
            numbers = itertools.count()
            assert f(numbers) == ([0, 1, 2], [])
            assert next(numbers) == 3 and f(iter("ab")) == (["a", "b"], [])
            assert f((x for x in ()), io.StringIO("a\\nb\\n")) == ([], ["a", "b"])
            """
        ),
    ),
    Control(
        name="parameters of every kind",
        idea="positional only, default, star, keyword only and double star",
        program="""
            def f(a, /, b=2, *c, d, e=5, **g): return [a, b, c, d, e, g]
            """,
        exam=_function(
            """
            assert f(1, d=4) == [1, 2, (), 4, 5, {}]
            assert f(1, 3, 4, 5, d=0, a=7) == [1, 3, (4, 5), 0, 5, {"a": 7}]
            assert f(*[1], **{"d": 2, "e": 3}) == [1, 2, (), 2, 3, {}]
            """
        ),
    ),
    Control(
        name="in place",
        idea="changes lists, dicts and sets where the task says so, and returns nothing",
        program="""
            def f(items, table, names):
                items.sort()
                items[:0] = [0]
                table.clear()
                table["k"] = items
                names |= {"new"}
            """,
        exam=_function(
            """
            items, table, names = [3, 1], {"a": 1}, {"x"}
            assert f(items, table, names) is None
            assert items == [0, 1, 3] and f is not None
            assert table == {"k": [0, 1, 3]} and f is not None
            assert names == {"x", "new"} and f is not None
            """,
            mutates=True,
        ),
    ),
    Control(
        name="exceptions of its own",
        idea="raises subclasses of builtin exceptions, which the tests catch by their base",
        program="""
            class Empty(LookupError):
                def __init__(self, name, code): super().__init__(f"no {name}"); self.code = code
            def f(items):
                if not items:
                    try:
                        return items[0]
                    except IndexError as error:
                        raise Empty("items", 4) from error
                return items[0]
            """,
        exam=_function(
            """
            assert f([1]) == 1
            try:
                f([])
            except LookupError as error:
                assert str(error) == "no items" and f([2]) == 2
            else:
                assert f is None
            """
        ),
    ),
    Control(
        name="exceptions of the prompt",
        idea="raises an exception class that the prompt defines",
        program="class Refused(ValueError): pass\ndef f(x):\n    raise Refused(x, 'no')",
        exam=_function(
            """
            try:
                f(3)
                assert f is None
            except Refused as error:
                assert error.args == (3, "no") and f is not None
            """,
            prelude="class Refused(ValueError):\n    pass\n\ndef f(x):\n    ...\n",
        ),
    ),
    Control(
        name="every builtin exception",
        idea="raises every builtin exception class that a test can catch",
        program="""
            import builtins
            def f(name):
                kind = getattr(builtins, name)
                if issubclass(kind, UnicodeDecodeError): raise kind("ascii", b"x", 0, 1, "no")
                if issubclass(kind, UnicodeEncodeError): raise kind("ascii", "x", 0, 1, "no")
                if issubclass(kind, UnicodeTranslateError): raise kind("x", 0, 1, "no")
                if kind is ExceptionGroup: raise kind("many", [ValueError(1)])
                raise kind("told")
            """,
        exam=_function(
            """
            import builtins
            kinds = [kind for kind in vars(builtins).values() if isinstance(kind, type)
                     and issubclass(kind, Exception)
                     and kind not in (StopIteration, ExceptionGroup, OSError)]
            for kind in kinds:
                try:
                    f(kind.__name__)
                except kind as error:
                    assert type(error) is kind and f is not None
                else:
                    assert f is None
            """
        ),
    ),
    Control(
        name="a guarded main",
        idea="runs its own examples only when it is a script, and parses arguments there",
        program="""
            import argparse, sys
            def f(x):
                \"\"\"
                >>> f(1)
                2
                \"\"\"
                return x + 1
            if __name__ == "__main__":
                import doctest
                doctest.testmod()
                sys.exit(argparse.ArgumentParser().parse_args())
            """,
    ),
    Control(
        name="prints",
        idea="prints what it does to both streams, in colours and without an end",
        program="""
            import logging, sys, warnings
            logging.basicConfig(level=logging.DEBUG)
            def f(x):
                print("\\x1b[31mhere\\x1b[0m", x, end="", flush=True)
                print({"r": 1, "v": 7}, file=sys.stderr)
                sys.stdout.write("ünïcode \\ud800".encode("utf-8", "replace").decode())
                logging.info("x is %s", x)
                warnings.warn("careful")
                return x + 1
            """,
    ),
    Control(
        name="names in other scripts",
        idea="identifiers outside ASCII, among them some that are the same after normalisation",
        program="def addiere_ﬁx(größe): return größe + 1\nπ = addiere_fix\nf = π",
    ),
    Control(
        name="imports of every kind",
        idea="star imports, future imports, imports inside functions, aliases, lazy attributes",
        program="""
            from __future__ import annotations
            from math import *
            from os.path import join as j
            import xml.etree.ElementTree as ET
            def f(x: Undefined) -> AlsoUndefined:
                import json as J
                from string import ascii_lowercase
                assert ET.fromstring("<a/>").tag == ascii_lowercase[0] and j("a", "b") == "a/b"
                return int(floor(x)) + J.loads("1")
            """,
    ),
    Control(
        name="new syntax",
        idea="match, walrus, star expressions, exception groups, f-strings in f-strings",
        program="""
            def f(x):
                match [x, {"k": x}]:
                    case [int(a), {"k": b}] if (c := a + b) == 2 * x:
                        first, *rest = c, 1
                try:
                    raise ExceptionGroup("g", [ValueError(), KeyError()])
                except* ValueError:
                    pass
                except* KeyError:
                    rest = [*rest, 1]
                return int(f"{f'{x}'}") + len(rest) - 1
            """,
    ),
    Control(
        name="dataclasses inside",
        idea="works with dataclasses, slots, protocols and generics, and returns plain values",
        program="""
            from dataclasses import dataclass, field, asdict, astuple
            from typing import Generic, Protocol, TypeVar, NamedTuple
            T = TypeVar("T")
            @dataclass(order=True, frozen=True, slots=True)
            class Box(Generic[T]):
                value: T
                tags: list = field(default_factory=list, compare=False)
            class Pair(NamedTuple):
                a: int
                b: int = 2
            def f(x):
                box = max(Box(x), Box(x - 1))
                return [asdict(box), astuple(box), Pair(x)]
            """,
        exam=_function("assert f(3) == [{'value': 3, 'tags': []}, (3, []), (3, 2)]"),
    ),
    Control(
        name="writes files",
        idea="uses its folder: temporary files, sqlite, pickles, and cleans up",
        program="""
            import os, pickle, sqlite3, tempfile
            def f(x):
                with tempfile.TemporaryDirectory() as folder:
                    path = os.path.join(folder, "data")
                    with open(path, "wb") as file: pickle.dump(x, file)
                    with open(path, "rb") as file: x = pickle.load(file)
                base = sqlite3.connect(":memory:")
                return base.execute("select ? + 1", (x,)).fetchone()[0]
            """,
    ),
    Control(
        name="a seed of its own",
        idea="seeds the random numbers and gives the same ones as everywhere",
        program="import random\ndef f(n):\n    random.seed(n)\n    return random.randrange(10**6)",
        exam=_function(
            """
            import random
            random.seed(5)
            assert f(5) == random.randrange(10**6)
            """
        ),
    ),
    Control(
        name="shadows names",
        idea="redefines builtins and names that the judge uses for itself",
        program="""
            def len(x): return -1
            list = dict = check = candidate = Session = None
            class socket: pass
            def f(x): return x - len("abc")
            """,
    ),
    Control(
        name="slow but in time",
        idea="computes for a third of its time and then answers a property",
        program="""
            import time
            end = time.process_time() + 0.3
            while time.process_time() < end: pass
            def f(x): return x + 1
            """,
        exam=ADDS_ONE_PROPERTY,
    ),
    Control(
        name="arrays",
        idea="computes with numpy and returns its scalars and arrays as plain values",
        program="""
            import numpy as np
            def f(items): return (np.array(items) + 1).tolist(), float(np.mean(items))
            """,
        exam=_function("assert f([1, 3]) == ([2, 4], 2.0)"),
        needs="numpy",
    ),
]

CLASSES = [
    Control(
        name="class: plain",
        idea="the stack of the exam, on a linked list of dataclass nodes with slots",
        program="""
            from __future__ import annotations
            from dataclasses import dataclass
            @dataclass(slots=True)
            class Node:
                item: int
                below: Node | None
            class Stack:
                __slots__ = ("top", "size")
                def __init__(self): self.top, self.size = None, 0
                def push(self, item): self.top = Node(item, self.top); self.size += 1
                def pop(self):
                    node, self.top, self.size = self.top, self.top.below, self.size - 1
                    return node.item
                def peek(self): return self.top.item
                def __len__(self): return self.size
                def __iter__(self):
                    node = self.top
                    while node:
                        yield node.item
                        node = node.below
                def __eq__(self, other):
                    return list(self) == list(other) if isinstance(other, Stack) else NotImplemented
            """,
        exam=STACK,
    ),
    Control(
        name="class: of a builtin",
        idea="the stack of the exam, as a subclass of list",
        program="""
            class Stack(list):
                push = list.append
                def peek(self): return self[-1]
                def __eq__(self, other): return type(other) is Stack and list.__eq__(self, other)
                def __ne__(self, other): return not self == other
            """,
        exam=STACK,
    ),
    Control(
        name="class: inheritance",
        idea="abstract bases, super, properties with setters, class and static methods",
        program="""
            import abc
            class Base(abc.ABC):
                made = 0
                def __init__(self, w): self._w = w; type(self).made += 1
                @abc.abstractmethod
                def area(self): ...
                @property
                def w(self): return self._w
                @w.setter
                def w(self, value):
                    if value < 0: raise ValueError("negative")
                    self._w = value
            class C(Base):
                @classmethod
                def unit(cls): return cls(1)
                @staticmethod
                def name(): return "c"
                def area(self): return self.w ** 2
                class Inner:
                    depth = 2
            """,
        exam=_class(
            """
            c = C(3)
            c.w = 4
            assert c.w == 4 and c.area() == 16
            assert C.unit().area() == 1 and C.name() == "c"
            assert C.made == 2
            assert isinstance(C.unit(), C) and not isinstance(3, C)
            assert C.Inner.depth == 2 and isinstance(C.Inner(), C.Inner)
            try:
                c.w = -1
                assert C is None
            except ValueError as error:
                assert str(error) == "negative" and c.w == 4
            del c._w
            assert not hasattr(c, "w")
            """
        ),
    ),
    Control(
        name="class: operators",
        idea="a vector: arithmetic with numbers and vectors, from both sides, in place, norm",
        program="""
            import math
            class C:
                def __init__(self, *xs): self.xs = tuple(xs)
                def __add__(self, o): return C(*(a + b for a, b in zip(self.xs, o.xs)))
                def __radd__(self, o): return self if o == 0 else NotImplemented
                def __sub__(self, o): return self + -o
                def __neg__(self): return self * -1
                def __mul__(self, k):
                    if isinstance(k, C): return sum(a * b for a, b in zip(self.xs, k.xs))
                    return C(*(a * k for a in self.xs))
                __rmul__ = __mul__
                def __imul__(self, k): self.xs = (self * k).xs; return self
                def __abs__(self): return math.hypot(*self.xs)
                def __eq__(self, o): return isinstance(o, C) and self.xs == o.xs
                def __hash__(self): return hash(self.xs)
                def __getitem__(self, i): return self.xs[i]
                def __len__(self): return len(self.xs)
                def __bool__(self): return any(self.xs)
                def __repr__(self): return f"C{self.xs}"
                def __format__(self, spec): return format(abs(self), spec)
                def __matmul__(self, o): return self * o
                def unit(self): return C(*(a / abs(self) for a in self.xs))
            """,
        exam=_class(
            """
            v, w = C(3, 4), C(1, 2)
            assert v + w == C(4, 6) and v - w == C(2, 2)
            assert 2 * v == v * 2 == C(6, 8)
            assert v * w == 11 and v @ w == 11
            assert abs(v) == 5.0 and abs(v * 2) == 10.0
            assert abs(v - w) ** 2 - 8 < 1e-9
            assert v[1] == 4 and len(v) == 2 and v[:1] == (3,)
            assert repr(v) == "C(3, 4)" and f"{v:.1f}" == "5.0"
            assert not C(0, 0) and v
            assert sum([v, w]) == C(4, 6)
            assert (v.unit() * 5)[0] == 3.0 and v.unit() * 5 == v
            assert abs(abs(v.unit()) - 1) < 1e-9
            assert {v: 1}[C(3, 4)] == 1 and len({v, C(3, 4), w}) == 2
            v *= 2
            assert v == C(6, 8) and v != w and v != (6, 8)
            """
        ),
    ),
    Control(
        name="class: order",
        idea="sorted, min, max and bisected by `total_ordering`",
        program="""
            import functools
            @functools.total_ordering
            class C:
                def __init__(self, n): self.n = n
                def __eq__(self, o): return self.n == o.n
                def __lt__(self, o): return self.n < o.n
                def __hash__(self): return hash(self.n)
            """,
        exam=_class(
            """
            import bisect
            items = [C(3), C(1), C(2)]
            assert [c.n for c in sorted(items)] == [1, 2, 3]
            assert max(items).n == 3 and min(items) == C(1)
            assert C(1) <= C(1) < C(2) and not C(3) < C(2)
            assert bisect.bisect([C(1), C(3)], C(2)) == 1
            assert items.index(C(2)) == 2 and C(1) in items
            """
        ),
    ),
    Control(
        name="class: a container",
        idea="items, slices, deletion, membership, iteration, reversal, keys and views",
        program="""
            class C:
                def __init__(self): self.d = {}
                def __getitem__(self, k):
                    return list(self.d)[k] if isinstance(k, slice) else self.d[k]
                def __setitem__(self, k, v): self.d[k] = v
                def __delitem__(self, k): del self.d[k]
                def __contains__(self, k): return k in self.d
                def __iter__(self): return iter(self.d)
                def __reversed__(self): return reversed(self.d)
                def __len__(self): return len(self.d)
                def __getattr__(self, name): return getattr(self.__dict__["d"], name)
            """,
        exam=_class(
            """
            c = C()
            c["a"] = 1
            c["b"] = [2]
            assert c["a"] == 1 and "a" in c and "z" not in c
            assert list(c) == ["a", "b"] and list(reversed(c)) == ["b", "a"]
            assert c.keys() == {"a", "b"} and "b" in c.keys() and list(c.items())[1] == ("b", [2])
            assert [2] in c.values() and c.get("z", 7) == 7
            del c["a"]
            assert len(c) == 1 and c[:9] == ["b"]
            try:
                c["a"]
                assert C is None
            except KeyError as error:
                assert error.args == ("a",) and c
            """
        ),
    ),
    Control(
        name="class: a context",
        idea="a context manager that swallows one exception, and a contextlib one",
        program="""
            import contextlib
            class C:
                def __init__(self): self.log = []
                def __enter__(self): self.log.append("in"); return self
                def __exit__(self, kind, error, trace): self.log.append("out")
                @contextlib.contextmanager
                def lent(self):
                    yield self.log
                    self.log.append("back")
            """,
        exam=_class(
            """
            c = C()
            with c as inner:
                assert inner is c or inner == c
            with c.lent() as log:
                assert log == ["in", "out"]
            assert c.log == ["in", "out", "back"]
            try:
                with c:
                    raise KeyError
            except KeyError:
                assert c.log[-1] == "out"
            """
        ),
    ),
    Control(
        name="class: exceptions of its own",
        idea="raises exceptions defined in the class, which tests catch by that name",
        program="""
            class C:
                class Error(Exception): pass
                class Empty(Error, LookupError):
                    def __init__(self, why="nothing"): super().__init__(why)
                Known = KeyError
                def pop(self): raise C.Empty
                def fail(self, kind): raise kind("told")
            """,
        exam=_class(
            """
            import pytest
            with pytest.raises(C.Empty, match="nothing"):
                C().pop()
            with pytest.raises(C.Error):
                C().pop()
            with pytest.raises(LookupError):
                C().pop()
            with pytest.raises(C.Known):
                C().fail(C.Known)
            try:
                C().fail(C.Error)
                assert C is None
            except C.Empty:
                assert C is None
            except C.Error as error:
                assert str(error) == "told" and C().Known is KeyError
            """
        ),
    ),
    Control(
        name="class: values in dress",
        idea="methods return named tuples, enum members, Counters and defaultdicts",
        program="""
            import collections, enum
            from typing import NamedTuple
            class Level(enum.IntEnum):
                LOW = 1
            class Item(NamedTuple):
                name: str
                count: int
            class C:
                def item(self): return Item("a", 3)
                def items(self): return [Item("a", 3), Item("b", 1)]
                def level(self): return Level.LOW
                def counts(self): return collections.Counter("aab")
                def groups(self):
                    d = collections.defaultdict(list); d["k"].append(1); return d
                def takes(self, item): return type(item).__name__
            """,
        exam=_class(
            """
            c = C()
            assert c.item() == ("a", 3) and c.item().count == 3 and c.item()[0] == "a"
            name, count = c.item()
            assert (name, count) == ("a", 3) and repr(c.item()) == "Item(name='a', count=3)"
            assert sorted(c.items())[0].name == "a" and ("b", 1) in c.items()
            assert sorted(c.items(), key=lambda item: item.count)[0] == ("b", 1)
            assert c.level() == 1 and c.level().name == "LOW" and c.level() + 1 == 2
            assert c.counts() == {"a": 2, "b": 1} and c.counts().most_common(1) == [("a", 2)]
            assert c.groups() == {"k": [1]} and c.groups()["k"] == [1]
            assert c.takes(c.item()) == "Item" and isinstance(c.item(), tuple)
            """
        ),
    ),
    Control(
        name="class: a tree",
        idea="objects that hold, return and take objects; None; identity; chains of calls",
        program="""
            class C:
                def __init__(self, value, parent=None):
                    self.value, self.parent, self.children = value, parent, []
                def add(self, value):
                    child = C(value, self); self.children.append(child); return child
                def root(self): return self.parent.root() if self.parent else self
                def walk(self):
                    yield self
                    for child in self.children: yield from child.walk()
                def adopt(self, other):
                    other.parent = self; self.children.append(other); return self
            """,
        exam=_class(
            """
            root = C(1)
            leaf = root.add(2).add(3)
            assert leaf.root() == root and leaf.root().parent is None
            assert [n.value for n in root.walk()] == [1, 2, 3]
            assert next(root.walk()).value == 1
            assert root.children[0].children[0] == leaf
            assert root.adopt(C(9)).children[-1].value == 9
            assert leaf in root.children[0].children and len(root.children) == 2
            """
        ),
    ),
    Control(
        name="class: sets of its own",
        idea="methods return instances in which the tests look for values",
        program="""
            class C:
                def __init__(self, items=()): self.items = list(dict.fromkeys(items))
                def __contains__(self, item): return item in self.items
                def __iter__(self): return iter(self.items)
                def __or__(self, other): return C([*self, *other])
                def union(self, other): return self | other
                def __eq__(self, other): return set(self) == set(other)
            """,
        exam=_class(
            """
            both = C([1, 2]).union(C([2, 3]))
            assert 3 in both and 4 not in both and list(both) == [1, 2, 3]
            assert 1 in C([1]) | C([2]) and C([1]) | C([2]) == C([2, 1])
            """
        ),
    ),
    Control(
        name="class: callbacks and threads",
        idea="calls functions of the test, keeps them, and works in threads of its own",
        program="""
            import threading
            class C:
                def __init__(self): self.listeners = []
                def on(self, listener): self.listeners.append(listener); return listener
                def fire(self, *a, **k): return [listener(*a, **k) for listener in self.listeners]
                def count(self, n):
                    box = []
                    threads = [threading.Thread(target=box.append, args=(i,)) for i in range(n)]
                    for t in threads: t.start()
                    for t in threads: t.join()
                    return sorted(box)
            """,
        exam=_class(
            """
            c = C()
            c.on(lambda x, y=0: x + y)
            assert c.fire(1, y=2) == [3]
            c.on(str)
            assert c.fire(4) == [4, "4"]
            assert c.count(3) == [0, 1, 2]
            """
        ),
    ),
    Control(
        name="class: asynchronous",
        idea="coroutine methods with a lock, awaited by the tests",
        program="""
            import asyncio
            class C:
                def __init__(self): self.n = 0
                async def add(self, k):
                    async with asyncio.Lock():
                        await asyncio.sleep(0)
                        self.n += k
                    return self
            """,
        exam=_class(
            """
            import asyncio
            async def main():
                c = C()
                return (await (await c.add(1)).add(2)).n
            assert asyncio.run(main()) == 3
            """
        ),
    ),
]

CONTROLS = [*FUNCTIONS, *CLASSES]
