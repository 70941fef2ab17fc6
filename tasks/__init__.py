"""Tasks: what is to be written, and the tests that say whether it is right.

`load_task`, `load_tasks` and `load_suite` read what a user names; `PublicTask` is all that a
search may see of it. Nothing here runs task code.
"""

from tasks.model import (
    AssertTests,
    Protocol,
    PublicTask,
    PytestTests,
    StdioCase,
    StdioTests,
    Task,
    TaskError,
    TaskLimits,
    Tests,
    UnknownTaskError,
)
from tasks.registry import load_suite, load_task, load_tasks, suite_names
from tasks.suite import Suite

__all__ = [
    "AssertTests",
    "Protocol",
    "PublicTask",
    "PytestTests",
    "StdioCase",
    "StdioTests",
    "Suite",
    "Task",
    "TaskError",
    "TaskLimits",
    "Tests",
    "UnknownTaskError",
    "load_suite",
    "load_task",
    "load_tasks",
    "suite_names",
]
