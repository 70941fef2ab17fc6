"""A model that writes as a person would be asked to: plans, helpers, wrong programs, repairs.

What it answers depends on the chat and the seed only, so that any two runs can be compared. Its
programs are on a ladder from wrong to right, and a repair climbs a rung.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from agent.llm.base import Message
from tasks.model import AssertTests, PublicTask

PROMPT = '''def twice(x):
    """Two times x.

    >>> twice(3)
    6
    """


def shift(x):
    """Three more than x.

    >>> shift(1)
    4
    """


def f(x):
    """Two times x, and three more.

    >>> f(1)
    5
    """
'''

TASK = PublicTask(
    id="T/f",
    prompt=PROMPT,
    entry_point="f",
    visible=(AssertTests(source="assert f(1) == 5\nassert f(5) == 13\nassert f(0) == 3\n"),),
)

RUNGS = (
    "def f(x):\n    return [][x]\n",
    "def f(x):\n    return 'no'\n",
    "def f(x):\n    return 3 if x == 0 else x\n",
    "def f(x):\n    return 2 * x + 3 if x < 5 else x\n",
    "def f(x):\n    return 2 * x + 3\n",
)
RIGHT = RUNGS[-1]

STUBS = '''```python
from typing import List


def plus(x: int, y: int = 0) -> int:
    """The sum of both.

    >>> plus(1, 2)
    3
    """
    ...


def double(x: int) -> int:
    """Two times x.

    >>> double(4)
    8
    """
    ...
```
'''
RIGHT_PARTS = {
    "twice": "def twice(x):\n    return 2 * x\n",
    "shift": "def shift(x):\n    return x + 3\n",
    "f": "def f(x):\n    return shift(twice(x))\n",
    "plus": "def plus(x, y=0):\n    return x + y\n",
    "double": "def double(x):\n    return x * 2\n",
}
WRONG_PARTS = {
    "twice": "def twice(x):\n    return x * x\n",
    "shift": "def shift(x):\n    return x - 3\n",
    "f": "def f(x):\n    return twice(shift(x))\n",
    "plus": "def plus(x, y=0):\n    return x - y\n",
    "double": "def double(x):\n    return x + 1\n",
}
COMPOSED = "def f(x):\n    return plus(double(x), 3)\n"
MISCOMPOSED = "def f(x):\n    return double(plus(x, 3))\n"


def lot(chat: Sequence[Message], seed: int | None) -> int:
    """A number that depends on the chat and the seed."""
    text = repr(([(one.role, one.content) for one in chat], seed))
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def answer(chat: Sequence[Message], seed: int | None) -> str:
    """What the author says."""
    asked, drawn = chat[-1].content, lot(chat, seed)
    if "numbered plan" in asked:
        return f"1. Double it.\n2. Add three.\n(idea {drawn % 5})"
    if "has a stub of each" in asked:
        return STUBS if drawn % 4 else "I would rather not."
    for name in RIGHT_PARTS:
        if f"write `{name}`" in asked or f"whole function `{name}`" in chat[0].content:
            wrong = drawn % 3 == 0 and len(chat) == 1
            return _fenced((WRONG_PARTS if wrong else RIGHT_PARTS)[name])
    if "These helper functions exist" in chat[0].content:
        return _fenced(MISCOMPOSED if drawn % 2 and len(chat) == 1 else COMPOSED)
    if "follow this plan" in asked and drawn % 4 == 0:
        return _fenced(RIGHT)
    if "Correct it" in asked:
        said = chat[-2].content
        rung = next((n for n, program in enumerate(RUNGS) if program.strip() in said), 0)
        return _fenced(RUNGS[min(rung + drawn % 2, len(RUNGS) - 1)])
    return _fenced(RUNGS[drawn % 4])


def _fenced(program: str) -> str:
    return f"Here it is:\n\n```python\n{program}```\n"
