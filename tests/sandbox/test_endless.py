"""Loops that never end are told from those that do, however much alike they look."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.jobs import Report
from sandbox.outcome import Outcome

REPOSITORY = Path(__file__).resolve().parent.parent.parent

# Watched from the beginning, so that a case needn't be slow to be one.
WATCHED = """
import collections, math, random, re, resource, string, sys, types, typing
from sandbox.guest import endless, induction  # what is imported in a call counts as its time
endless._PATIENCE_SECONDS = 0.001
endless._BUDGET_SECONDS = 1.0  # a crowded machine takes longer
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
program = sys.stdin.read()
module = sys.modules["candidate"] = types.ModuleType("candidate")
watch = endless.Watch(program, "candidate.py")
begun = []
begin = watch._begin
watch._begin = lambda *given: (begun.append(1), begin(*given))
watch.listen()
for _ in range(1000):  # the kernel looks at its timers a few hundred times a second
    watch.arm()
    exec(compile(program, "candidate.py", "exec"), vars(module))
    endless.disarm()
    if begun:
        break
assert begun, "nobody watched"
"""

ENDLESS = {
    "nothing changes": "while True: pass",
    "in a function": "def f(n):\n while n > 0:\n  m = [n]\nf(1)",
    "round a cycle": "def f(n):\n i = 0\n while n:\n  i = (i + 1) % 7\nf(1)",
    "by a call": "def g(n): return abs(n)\ndef f(n):\n while g(n) != 4: n = n // 2\nf(3)",
    "with what is counted": "def f(n):\n c = 0\n while n != 0:\n  n //= 10\n  c += 1\nf(-7)",
    "with two sums": "def f(n):\n s = 0\n c = 1\n while n:\n  s = s + n % 10\n"
    "  c = n + c\n  n //= 10\nf(-7)",
    "with sums of fractions": "def f(x):\n s = 0.0\n while x > 0:\n  x *= 10\n  s += x\n"
    "  x //= 10\nf(3.5)",
    "with a for loop within": "def f(n):\n i = 0\n while n:\n  for j in range(3): i = j\nf(1)",
    "begun by a for loop": "def f(n):\n while n:\n  for j in [1, 2]: pass\n  n = j\nf(1)",
    "with all of a generator": "def f(n):\n while not any(d == 4 for d in range(n)): n = 3\nf(3)",
    "by continue": "def f(n):\n i = 0\n while n:\n  i = 1 - i\n  if i: continue\n  i += 0\nf(1)",
    "the inner of two": "def f(n):\n while n:\n  n -= 1\n  i = 0\n  while i < 3: i = 1 - i\nf(9)",
    "the outer of two": "def f(n):\n while n:\n  i = 0\n  while i < 3: i += 1\nf(9)",
    "in the second of a for loop": "def f():\n for n in (0, 1):\n  while n: pass\nf()",
    "with a list that turns": "def f(xs):\n while xs[0] < 9: xs.append(xs.pop(0))\nf([1, 2, 3])",
    "with a set that stays": "def f(n):\n seen = {1, 2}\n while n in seen: n = 3 - n\nf(1)",
    "where an error is caught": "def f(n):\n while n:\n  try: [][n]\n"
    "  except IndexError: pass\nf(1)",
    "in a recursion": "def f(n):\n if n: return f(n - 1)\n while not n: pass\nf(9)",
    "in a method of lists": "def f(xs):\n xs.sort(key=g)\ndef g(x):\n while x: pass\nf([1, 2])",
    "beside libraries": "import random, re, collections\nfrom typing import List\n"
    "from math import sqrt\nimport math\nimport string\n"
    "def f(n: List):\n while math.floor(sqrt(n)) < 9 and len(string.digits): n = 4\nf(4)",
}

DRIFTING = {
    "past its end": "def f(n):\n while n != 1: n -= 2\nf(0)",
    "past its end in a growing list": "def f(n):\n xs = [n]\n while n != 1:\n  n -= 2\n"
    "  xs.append(n)\n return xs\nf(0)",
    "from a long list": "def f(n, xs):\n while n != 1:\n  n -= 2\n  xs.append(n)\n"
    "f(0, [0] * 100_000)",
    "by turns": "def f(n):\n while True:\n  if n % 2 == 0:\n   if n < 9: return n\n   n += 1\n"
    "  else: n += 1\nf(10)",
    "with a counter": "def f(n):\n c = 0\n while n > 0:\n  c += 1\n  n += 3\n return c\nf(2)",
    "with a sum of it": "def f(n):\n s = 0\n while n > 0:\n  s += n\n  n += 3\n return s\nf(2)",
    "with a product": "def f(n):\n s = 1\n while n > 0:\n  s *= n\n  n += 3\n return s\nf(2)",
    "with a sum of fractions": "def f(n):\n s = 0.5\n while n > 0:\n  s += n\n  n += 3\nf(2)",
    "beyond infinity": "def f(n):\n while n < float('inf'): n += 1\nf(2)",
    "beyond a fraction": "def f(n, x):\n while n > x: n += 1\nf(2, 0.5)",
    "two alike": "def f(a, b):\n while a < b: a, b = a + 2, b + 2\nf(1, 2)",
    "apart": "def f(a, b):\n while abs(a - b) > 1:\n  a -= 1\n  b += 2\nf(-3, 4)",
    "a window past the end": "def f(xs):\n l = r = 0\n while l <= r:\n"
    "  if sum(xs[l:r + 1]) >= 0: r += 1\n  else: l += 1\nf([1, 2])",
    "a window of a text": "def f(s):\n i = 0\n while True:\n  if s[i:i + 1] == 'x': break\n"
    "  i += 1\nf('abc')",
    "a range that stays empty": "def f(n):\n while n:\n  for i in range(n, 3): n = 0\n"
    "  n += 1\nf(4)",
    "in a list": "def f(xs):\n while xs[0] < xs[1]:\n  xs[0] -= 1\n"
    "  for i in range(1, 2): xs[i] += 1\n"
    "f([1, 2])",
    "in a list of lists": "def f(g):\n while True:\n  changed = False\n  for row in g:\n"
    "   for j, x in enumerate(row):\n    if x > 0:\n     row[j] += 1\n     changed = True\n"
    "  if not changed: break\nf([[0, 1], [1, 0]])",
    "by a function": "def g(n):\n if n % 2: return n + 1\n return n + 2\n"
    "def f(n):\n while n > 0: n = g(n)\nf(3)",
    "by an inner function": "def f(n):\n def g(n): return n + 1\n while n > 0: n = g(n)\nf(3)",
    "by the largest": "def f(a, b):\n while max(a, b, 0) == b: b += 1\nf(1, 2)",
    "with a comprehension": "def f(n, xs):\n while n > max([x * 2 for x in xs if x]): n += 1\n"
    "f(9, [1, 2, 0])",
    "with any": "def f(n, xs):\n while not any(x == n for x in xs): n += 1\nf(9, [1, 2])",
    "out of a list": "def f(n, xs):\n while n not in xs: n += 1\nf(9, [1, 2])",
    "out of a range": "def f(n):\n while n not in range(3): n += 1\nf(9)",
    "with texts": "def f(n, s):\n while n and s.upper().strip() != 'X': n += 1\nf(1, ' ab')",
    "with a dict": "def f(n, d):\n while d.get('a', 0) + d['b'] < n: n += 1\nf(9, {'b': 2})",
    "by continue": "def f(n):\n while n > 0:\n  n += 1\n  if n % 2: continue\n  n += 0\nf(1)",
    "the inner of two": "def f(n):\n while n:\n  n -= 1\n  m = 2\n  while m: m += 1\nf(9)",
    "the outer of two": "def f(n):\n while n:\n  n += 2\n  m = 3\n  while m: m -= 1\nf(9)",
    "in the second of a for loop": "def f():\n for n in (0, 1):\n  while n: n += 1\nf()",
    "where errors are caught elsewhere": "def g():\n try: pass\n except: pass\n"
    "def f(n):\n while n: n += 1\nf(1)",
    "with a name of the module": "END = 5\ndef f(n):\n while n != END: n += 1\nf(6)",
    "with mathematics": "import math\ndef f(n):\n while n > math.sqrt(4) + math.pi: n += 1\nf(9)",
}

MANY = "1_500_000"
HONEST = {
    "a long count": f"def f(n):\n while n: n -= 1\nf({MANY})",
    "a sum that decides": f"def f():\n c = 0\n while True:\n  c += 1\n  if c > {MANY}: break\nf()",
    "a sum that the outer loop reads": "def f():\n c = 0\n while c < 1_500_000:\n  i = 0\n"
    "  while i < 3:\n   i += 1\n   c += 1\nf()",
    "a sum in a closure": f"def f():\n c = 0\n def g(): return c > {MANY}\n"
    f" while not g(): c += 1\nf()",
    "how far a for loop is": "def f():\n for x in [1] * 2_000_000:\n  while x: break\nf()",
    "how far the for loop around it all is": f"def f():\n for x in [1] * {MANY}:\n"
    "  i = 0\n  while i < 2: i += 1\nf()",
    "an iterator": f"def f():\n it = iter([1] * {MANY})\n while next(it, 0): pass\nf()",
    "an iterator in a list": f"def f():\n it = [iter([1] * {MANY})]\n"
    f" while next(it[0], 0): pass\nf()",
    "an iterator at its end": f"def f():\n it = iter([1] * {MANY})\n while 1 in it: pass\nf()",
    "an iterator that is unpacked": f"def f():\n it = iter([1] * {MANY})\n"
    " try:\n  while True: a, *b = [next(it)]\n except StopIteration: pass\nf()",
    "a generator": "def g():\n n = 0\n while n < 1_500_000:\n  n += 1\n  yield 1\n"
    "def f():\n it = g()\n while sum(x for x, _ in zip(it, [1])): pass\nf()",
    "a generator's own loop": "def g():\n while True: yield 1\n"
    f"def f():\n for n, x in enumerate(g()):\n  if n > {MANY}: break\nf()",
    "cpu time": "import time\ndef f():\n while time.process_time() < 0.6: pass\nf()",
    "the clock": "import time\nend = time.time() + 0.3\nwhile time.time() < end: pass",
    "the clock by another name": "from time import monotonic as m\nend = m() + 0.3\n"
    "while m() < end: pass",
    "chance": "import random\nrandom.seed(2)\nwhile random.random() > 0.000_001: pass",
    "chance by another name": "from random import randint, seed\nseed(2)\n"
    "while randint(0, 200_000): pass",
    "an attribute": f"class C: n = 0\ndef f():\n c = C()\n while c.n < {MANY}: c.n += 1\nf()",
    "an attribute of the class": f"class C: n = 0\ndef f():\n while C.n < {MANY}: C.n += 1\nf()",
    "a list of the class": f"class C: n = []\ndef f():\n"
    f" while len(C.n) < {MANY}: C.n.append(1)\nf()",
    "a method that counts": "class C:\n n = 0\n def g(self):\n  self.n += 1\n"
    "  return self.n < 1_500_000\n"
    "c = C()\nwhile c.g(): pass",
    "an attribute of a module": f"import sys\nsys.n = 0\ndef f():\n"
    f" while sys.n < {MANY}: sys.n += 1\nf()",
    "a list of a module": f"import sys\nsys.n = []\ndef f():\n"
    f" while len(sys.n) < {MANY}: sys.n.append(1)\nf()",
    "a module out of a list": "import sys\nsys.n = []\nof = [sys]\n"
    f"def f():\n while len(of[0].n) < {MANY}: of[0].n.append(1)\nf()",
    "a module that a function gives": "import sys\nsys.n = []\ndef g(): return sys\n"
    "def f():\n while len(g().n) < 1_500_000: g().n.append(1)\nf()",
    "an attribute of a function": f"def g(): pass\ng.n = 0\ndef f():\n"
    f" while g.n < {MANY}: g.n += 1\nf()",
    "a default": "def g(n=[0]):\n n[0] += 1\n return n[0] < 1_500_000\nwhile g(): pass",
    "a default by name": "def g(*, n=[0]):\n n[0] += 1\n return n[0] < 1_500_000\nwhile g(): pass",
    "a closure": "def make():\n n = 0\n def g():\n  nonlocal n\n  n += 1\n"
    "  return n < 1_500_000\n return g\n"
    "g = make()\nwhile g(): pass",
    "a global": "n = 0\ndef g():\n global n\n n += 1\n return n < 1_500_000\nwhile g(): pass",
    "a hidden global": "__n = 0\ndef g():\n global __n\n __n += 1\n"
    " return __n < 1_500_000\nwhile g(): pass",
    "a bound method": "n = []\nadd = n.append\ndef f():\n while len(n) < 1_500_000: add(1)\nf()",
    "deep in a dict": "n = {'a': [{'b': 0}]}\ndef f():\n"
    " while n['a'][0]['b'] < 1_500_000: n['a'][0]['b'] += 1\nf()",
    "which of two equal numbers": "def f(n):\n x, y = int(n), int(n)\n i = 1\n while x is not y:\n"
    "  i = i % 400_000 + 1\n  if i == 400_000: x = y\nf('1000')",
    "which number at the second time": "def f(x, y):\n while True:\n  if x is y: break\n"
    "  for _ in range(3_000_000): pass\n  x = y\nf(int('1000'), int('1000'))",
    "which of two things that are no number": "def f(x, xs):\n while x not in xs:\n"
    "  for _ in range(3_000_000): pass\n  xs = [x]\nf(float('nan'), [float('nan')])",
    "collected garbage": "import gc\nn = []\ngc.callbacks.append(lambda *_: n.append(1))\n"
    "def f():\n while len(n) < 1_500:\n  x = []\n  x.append(x)\nf()",
    "which of two lists": "def f():\n a, b = [0], [0]\n xs = [a, a]\n i = 0\n"
    " while xs[0] is xs[1]:\n  i += 1\n  if i == 400_000: xs = [a, b]\nf()",
    "a set that turns": "def f():\n s = set(range(50))\n n = 0\n"
    " while n < 400_000:\n  s.add(s.pop())\n  n += 1\nf()",
    "true for one": "def f():\n x = 1\n n = 0\n while x is not True:\n  n += 1\n"
    "  if n == 400_000: x = True\nf()",
    "one for one point nought": "def f():\n x = 1\n n = 0\n while type(x) is int:\n  n += 1\n"
    "  if n == 400_000: x = 1.0\nf()",
    "minus nought": "def f():\n x = 0.0\n n = 0\n while str(x) == '0.0':\n  n += 1\n"
    "  if n == 400_000: x = -0.0\nf()",
    "the order of a dict": "def f():\n d = {1: 1, 2: 2}\n n = 0\n while next(iter(d)) == 1:\n"
    "  n += 1\n  if n == 400_000: d[1] = d.pop(1)\nf()",
    "another thread": "import threading\nn = []\nt = threading.Timer(0.3, n.append, [1])\n"
    "t.start()\n"
    "while not n: pass\nt.join()",
    "a signal": "import signal\nn = []\nsignal.signal(signal.SIGALRM, lambda *_: n.append(1))\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.3)\nwhile not n: pass",
    "a file": "import os, tempfile\nwith tempfile.TemporaryFile() as file:\n"
    " file.write(b'x' * 300_000)\n file.seek(0)\n while os.read(file.fileno(), 1): pass",
    "a finalizer": "class C:\n def __del__(self): n.append(1)\nn = []\n"
    "def f():\n while len(n) < 300_000: C()\nf()",
    "its own tracing": "import sys\nseen = []\nsys.settrace(lambda *a: seen.append(1))\n"
    "def g(): pass\nwhile len(seen) < 300_000: g()",
    "drifts to its end": f"def f(n):\n while n != 1: n -= 2\nf({MANY} | 1)",
    "drifts to its end by turns": f"def f(n):\n while n > 0:\n  if n % 2: n += 1\n  else: n -= 3\n"
    f"f({MANY})",
    "drifts to the end of a list": "def f(xs):\n i = 0\n while xs[i:i + 1]: i += 1\n"
    "f([1] * 2_000_000)",
    "drifts out of a list": "def f(xs):\n i = 0\n while xs[i] < 9: i += 1\n"
    "try: f([1] * 2_000_000)\nexcept IndexError: pass",
    "drifts down a list": "def f(xs):\n i = len(xs) - 1\n while xs[i]: i -= 1\n"
    "f([0] + [1] * 1_000_000)",
    "drifts to a fraction": f"def f(n):\n while n < {MANY}.5: n += 1\nf(0)",
    "a second-order sum": "def f(n):\n s = 0\n while s < 10 ** 12:\n  n += 1\n  s += n\nf(0)",
    "a second-order sum in a list": "def f(n):\n s = [0]\n while s[0] < 10 ** 12:\n  n += 1\n"
    "  s[0] += n\nf(0)",
    "a product that decides": "def f(n):\n p = 1\n while p < n: p *= 7\nn = 7 ** 10_000\nf(n)",
    "a list whose length decides": f"def f(xs):\n while len(xs) < {MANY}: xs.append(1)\nf([])",
    "a list of two names": "def f(xs):\n ys = xs\n while len(ys) < 1_000_000: xs.append(1)\nf([])",
    "a list in a list": "def f(xs):\n ys = [xs]\n"
    " while len(ys[0]) < 1_000_000: xs.append(1)\nf([])",
    "a list in a tuple": "def f(xs):\n ys = (xs, 1)\n while len(ys[0]) < 1_000_000: xs.append(1)\n"
    "f([])",
    "a list of the caller's": "def g(xs): return len(XS) < 1_000_000\nXS = []\n"
    "def f(xs):\n while g(0): xs.append(1)\nf(XS)",
    "a row of two names": "def f():\n g = [[0]] * 2\n while g[1][0] < 1_000_000: g[0][0] += 1\nf()",
    "rows that change places": "def f():\n a, b = [0], [0]\n while b[0] < 500_000:\n"
    "  a[0] += 1\n  a, b = b, a\nf()",
    "a list that a memory error ends": "import resource\ndef f(xs, n):\n try:\n"
    "  while True: xs.append(n)\n except MemoryError: return len(xs)\n"
    "resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\nf([], 1)",
    "fractions that grow": "def f(x):\n while x != float('inf'): x *= 1.000_5\nf(1.0)",
    "fractions too large to add": "def f(c):\n x = 0.5\n while True:\n  c += c\n  x += c\n"
    "for _ in range(300):\n try: f(1)\n except OverflowError: pass",
    "fractions that stand still": "def f(x):\n while x + 1 != x: x += 1_000_000_000\nf(0.5e16)",
    "digits": "def f(n):\n while len(str(n)) < 7: n += 1\nf(1)",
    "bits": "def f(n):\n while not n & (1 << 20): n += 1\nf(1)",
    "a remainder": "def f(n):\n while n % 1_000_003: n += 1\nf(1)",
    "a quotient": "def f(n):\n while n // 1_000_003 < 1: n += 2\nf(1)",
    "an index from behind": "def f(xs):\n i = -1\n while xs[i]: i -= 1\nf([0] + [1] * 1_000_000)",
    "a slice from behind": "def f(xs):\n i = -1\n while xs[i:][0]: i -= 1\nf([0] + [1] * 6_000)",
    "a function with a default": "def g(n, c=[0]):\n c[0] += 1\n return c[0] < 1_000_000\n"
    "def f(n):\n while g(n): n += 1\nf(1)",
    "a function that is renamed": "def g(n): return 1\ndef h(n): return n < 1_000_000\n"
    "g.__name__ = 'h'\n"
    "g = h\ndef f(n):\n while g(n): n += 1\nf(1)",
    "two functions of a name": "def g(n): return 1\nh = g\ndef g(n): return n < 1_000_000\n"
    "def f(n):\n while g(n) and h(n): n += 1\nf(1)",
    "a generator that is left early": "def f(xs):\n while xs[0] < 500_000:\n  q = [1, 0]\n"
    "  any(q.pop() == 0 for i in range(2))\n  xs[0] += len(q)\nf([0])",
    "a loop that begins with a text": "def f(a, b):\n while a > 0:\n  if a:\n   while b > 0:\n"
    "    'no code'\n    b -= 1\n  a = b\nf(1, 1_000_000)",
    "an operation made once": "def f(xs):\n while xs[1] < 1_000_000:\n  q = [0, 1]\n"
    "  xs[q.pop()] += 1\nf([0, 0])",
    "a while's else": f"def f(n):\n while n > 0:\n  n += 1\n  m = 0\n  while m < 1: m += 1\n"
    f"  else:\n   if n > {MANY}: return\nf(1)",
    "a class's body": "class C:\n n = 1_000_000\n while n != 1: n -= 1",
    "a method of the program's own": "class L(list):\n def append(self, x):\n"
    "  if x > 300_000: raise KeyError\n"
    "def f(xs, n):\n while n:\n  n += 1\n  xs.append(n)\ntry: f(L(), 1)\nexcept KeyError: pass",
    "a number of the program's own": "class N(int):\n"
    " def __sub__(self, x): return N(int(self) - x if self > 1 else 1)\n"
    "def f(n):\n while n != 1: n = n - 2\nf(N(200_000))",
    "len replaced": "c = []\ndef len(x):\n c.append(1)\n return c.__len__() < 1_000_000\n"
    "def f(n):\n while len('a'): n += 1\nf(1)",
    "builtins replaced": "import builtins\nc = []\ndef own(x):\n c.append(1)\n"
    " return c.__len__() < 1_000_000\nbuiltins.len = own\ndef f(n):\n while len('a'): n += 1\nf(1)",
    "eval": "n = [0]\ndef f():\n"
    " while eval('n.__setitem__(0, n[0] + 1) or n[0] < 60_000'): pass\nf()",
}


def watched(program: str, text: str = WATCHED) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text],
        input=program,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )


@pytest.mark.parametrize(
    "program", [*ENDLESS.values(), *DRIFTING.values()], ids=[*ENDLESS, *DRIFTING]
)
def test_what_never_ends_is_found_out(program: str) -> None:
    ended = watched(program)
    assert ended.returncode == -signal.SIGVTALRM, ended.stderr


@pytest.mark.parametrize("program", HONEST.values(), ids=HONEST)
def test_what_ends_is_left_to_end(program: str) -> None:
    ended = watched(program)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_in_a_sandbox_it_is_a_timeout_that_says_why(run: Callable[..., Report]) -> None:
    report = run("def f(x):\n    while x: pass\n")
    assert report.outcome is Outcome.TIMEOUT
    assert report.detail is not None
    assert "never ends" in report.detail
    assert report.cpu_seconds < 2, "the limit, of three seconds, is not waited for"


def test_also_at_the_import_and_in_a_later_call(run: Callable[..., Report]) -> None:
    for program in ("while True: pass\n", "def f(x):\n    while x == 5: pass\n    return x + 1\n"):
        report = run(program)
        assert (report.outcome, "never ends" in str(report.detail)) == (Outcome.TIMEOUT, True)


def test_a_slow_program_still_passes(run: Callable[..., Report]) -> None:
    program = """
        def f(x):
            n = 0
            while n < 2_000_000:
                n += 1
            return x + 1
        """
    assert run(textwrap.dedent(program)).outcome is Outcome.PASSED


def test_no_more_time_is_spent_on_a_program_than_it_is_allowed() -> None:
    """Many calls that each take longer than a watch waits for would else all be doubled."""
    calls = """
import signal
for _ in range(5):
    watch.arm()
    module.f()
watch.arm()
assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0
"""
    program = "def f():\n n = 0\n while n < 2_000_000: n += 1\nf()"
    ended = watched(program, WATCHED + calls)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_program_may_use_the_timer_itself(run: Callable[..., Any]) -> None:
    program = """
        import signal

        class Late(Exception): pass

        def late(*_): raise Late

        def f(x):
            signal.signal(signal.SIGVTALRM, late)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.2)
            try:
                while x: x += 0
            except Late:
                return x + 1
        """
    assert run(textwrap.dedent(program)).outcome is Outcome.PASSED
