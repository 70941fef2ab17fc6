"""Regreen's Python interface: `solve`, `asolve`, `evaluate`, `aevaluate` and their types.

Importing this imports nothing else; the work is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.api import aevaluate, asolve, evaluate, solve
    from agent.evaluation import EvalReport, TaskScore
    from agent.settings import Settings
    from agent.solving import Solution

_WHERE = {
    "EvalReport": "agent.evaluation",
    "Settings": "agent.settings",
    "Solution": "agent.solving",
    "TaskScore": "agent.evaluation",
    "aevaluate": "agent.api",
    "asolve": "agent.api",
    "evaluate": "agent.api",
    "solve": "agent.api",
}

__all__ = [
    "EvalReport",
    "Settings",
    "Solution",
    "TaskScore",
    "aevaluate",
    "asolve",
    "evaluate",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'agent' has no attribute {name!r}")
