"""What to watch for in the answers to a task, read off the task as the search sees it."""

from __future__ import annotations

import ast
from functools import lru_cache

from agent.llm.base import CallShape, Watch
from tasks.model import PublicTask, StdioTests
from verifiers.syntax import Workbench

_CANDIDATE = "candidate"
"""What suites of the HumanEval form call the entry point in their tests."""


def watch_for(task: PublicTask) -> Watch:
    """What a chat answer that is to be the whole program has to become.

    Nothing is known of a program that reads standard input, but its language.
    """
    if task.entry_kind == "program":
        return Watch(language=task.language)
    return Watch(
        language=task.language,
        entry_point=task.entry_point,
        calls=_calls(task) if task.entry_kind == "function" else (),
        lent=_lent(task.prompt) | _lent(task.start),
    )


def _calls(task: PublicTask) -> tuple[CallShape, ...]:
    sources = (tests.source for tests in task.visible if not isinstance(tests, StdioTests))
    return tuple(
        dict.fromkeys(call for source in sources for call in _in(source, task.entry_point))
    )


@lru_cache(maxsize=256)
def _lent(source: str) -> frozenset[str]:
    """The names that a prompt binds at its top level; it may end with a stub that has no body."""
    bench = Workbench()
    source = source.rstrip() + "\n"
    module = bench.module(source) or bench.module(source + "    pass\n")
    return module.binds if module is not None else frozenset()


@lru_cache(maxsize=256)
def _in(source: str, entry_point: str) -> tuple[CallShape, ...]:
    """The shapes of all calls of the entry point in a test's source; no two alike.

    A call with `*` or `**` can have any shape, so then nothing is known.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return ()
    found: dict[CallShape, None] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id not in (entry_point, _CANDIDATE):
            continue
        words = [keyword.arg for keyword in node.keywords]
        if None in words or any(isinstance(one, ast.Starred) for one in node.args):
            return ()
        names = tuple(sorted(word for word in words if word is not None))
        found[CallShape(positional=len(node.args), keywords=names)] = None
    return tuple(found)
