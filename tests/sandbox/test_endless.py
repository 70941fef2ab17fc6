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
import resource, sys, types
from sandbox.guest import endless
endless._PATIENCE_SECONDS = 0.001
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
program = sys.stdin.read()
module = sys.modules["candidate"] = types.ModuleType("candidate")
watch = endless.Watch(program, "candidate.py")
begun = []
begin = watch._begin
watch._begin = lambda *given: (begun.append(1), begin(*given))
watch.listen()
watch.arm()
exec(compile(program, "candidate.py", "exec"), vars(module))
endless.disarm()
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
    "eval": "n = [0]\ndef f():\n"
    " while eval('n.__setitem__(0, n[0] + 1) or n[0] < 300_000'): pass\nf()",
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


@pytest.mark.parametrize("program", ENDLESS.values(), ids=ENDLESS)
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
