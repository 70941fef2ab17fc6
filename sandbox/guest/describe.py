"""What the candidate's process tells of its classes and exceptions, for the judge to mirror."""

from __future__ import annotations

import dataclasses
import linecache
from typing import Any

from .operations import special

_TRACEBACK_LINES = 12
_NAMES = 1000
_ABSTRACT = frozenset(
    {"abc", "collections.abc", "numbers", "contextlib", "typing", "_collections_abc"}
)


def is_own(kind: type) -> bool:
    """Whether a class is one that the judge has to mirror, as it has none like it."""
    return kind.__module__ not in _ABSTRACT and kind.__module__ != "builtins"


def describe(kind: type) -> dict[str, Any]:
    """A class in builtin values: names, bases, special methods, fields."""
    exception = issubclass(kind, Exception)
    bases = [
        [base.__name__[:100], id(base) if is_own(base) else 0]
        for base in kind.__bases__
        if exception or is_own(base)
    ]
    return {
        "name": kind.__name__,
        "module": str(kind.__module__),
        "qualname": kind.__qualname__,
        "doc": kind.__doc__ if type(kind.__doc__) is str else None,
        "exception": exception,
        "bases": bases,
        "special": special(kind),
        "names": [name for name in vars(kind) if type(name) is str][:_NAMES],
        "fields": _fields(kind),
        "abstract": [base.__name__ for base in kind.__mro__ if base.__module__ in _ABSTRACT],
    }


def _fields(kind: type) -> list[list[Any]] | None:
    if "__dataclass_fields__" not in vars(kind):
        return None
    return [
        [field.name, field.init, bool(field.repr), bool(field.compare), bool(field.kw_only)]
        for field in dataclasses.fields(kind)
    ]


def classes(kind: type) -> list[list[Any]]:
    """An exception class and its bases, by name, number and module."""
    return [
        [cls.__name__[:100], id(cls), str(cls.__module__)[:100]]
        for cls in kind.__mro__
        if cls is not object
    ][:20]


def trace(error: BaseException) -> list[str]:
    """The candidate's own lines of a traceback, innermost last."""
    lines: list[str] = []
    step = error.__traceback__
    while step is not None and len(lines) < 200:
        code = step.tb_frame.f_code
        if not code.co_filename.startswith("<regreen>"):
            source = linecache.getline(code.co_filename, step.tb_lineno).strip()
            lines.append(f"line {step.tb_lineno}, in {code.co_name}: {source}"[:300])
        step = step.tb_next
    if isinstance(error, SyntaxError):
        lines.append(f"line {error.lineno}: {error.msg}"[:300])
    return lines[-_TRACEBACK_LINES:]
