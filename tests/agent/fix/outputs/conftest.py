"""Stories to write: an ordinary repair, and one in which every text is hostile."""

from __future__ import annotations

import pytest

from agent.fix.outputs.base import Story
from agent.fix.report import FixReport, FixStatus
from agent.fix.suspects import Suspect
from agent.fix.targets import Targets
from agent.fix.validation.behaviour import Difference

DIFF = """\
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -1,5 +1,5 @@
 def total(prices):
     result = 0
-    for place in range(1, len(prices)):
+    for place in range(0, len(prices)):
         result += prices[place]
     return result
"""
HOSTILE = (
    "x\x1b[31m\x1b]8;;http://evil\x07\r\n::error::pwned\n ::add-mask::x\n##[warning]y\n"
    "@octo/team fixes #1 GH-2 https://evil.example www.evil.example "
    "</code></pre><script>alert(1)</script><!-- -->\u202e ``` ````` ]]> \x00\ud800 "
    "[skip ci] ***NO_CI*** [a](javascript:b) |table| deadbeef1234567 & \ufffe"
)


def suspect(path: str, name: str) -> Suspect:
    return Suspect.model_construct(path=path, name=name, line=3, last=5, score=0.7, lines=())


@pytest.fixture
def fixed() -> Story:
    failing = {
        "tests/test_cart.py::TestCart::test_some[a b]": (
            "tests/test_cart.py:7: in test_some\n    assert total([2, 3]) == 5\n"
            "E   assert 3 == 5\ntests/test_cart.py:9: AssertionError"
        )
    }
    report = FixReport(
        status=FixStatus.FIXED,
        reason="1 failing test passes now",
        diff=DIFF,
        files=("shop/cart.py",),
        fixed=tuple(failing),
        flaky=("tests/test_cart.py::test_sometimes",),
        isolation="local/namespaces",
        confidence="plausible",
        why=("1 failing tests pass", "the only one of 3 patches"),
        candidates=3,
        seconds=2.5,
        suspects=(suspect("shop/cart.py", "total"),),
        message="Fix total in shop/cart.py",
    )
    passing = ("tests/test_cart.py::test_none",)
    return Story(report=report, targets=Targets(failing=failing, passing=passing))


@pytest.fixture
def hostile() -> Story:
    """A repair that failed, and whose every text is against whoever shows it."""
    names = tuple(f"tests/{HOSTILE}.py::test_{number}[{HOSTILE}]" for number in range(40))
    report = FixReport(
        status=FixStatus.NOT_FIXED,
        reason=HOSTILE,
        diff="--- a/x.py\n+++ b/x.py\n@@ -1,1 +1,1 @@\n-a\n+" + HOSTILE.replace("\n", " ") + "\n",
        files=(HOSTILE,),
        still_failing=names,
        flaky=names,
        isolation=HOSTILE,
        confidence=HOSTILE,
        trust=HOSTILE,
        why=(HOSTILE,) * 40,
        lacking=dict.fromkeys(names, HOSTILE),
        notes=(HOSTILE,) * 40,
        differing=(Difference(call=HOSTILE, results=((HOSTILE, HOSTILE),)),) * 40,
        models=(HOSTILE,) * 9,
        suspects=tuple(suspect(HOSTILE, HOSTILE) for _ in range(5)),
        message=HOSTILE,
    )
    detail = (HOSTILE + "\n") * 50
    return Story(report=report, targets=Targets(failing=dict.fromkeys(names, detail)))


@pytest.fixture
def text() -> str:
    return HOSTILE
