"""What the test lends to the candidate: functions, objects, iterators, exceptions.

The candidate's process gets a number. What it asks for is done here, in the judge, so this module
decides what it may ask. A function is only called and an iterator only stepped. An object has
special methods, and attributes whose names don't begin with an underscore; those of Python's own
types (frames, generators) can't be had, a method of the test's class is never replaced, and a mock
doesn't let itself be told that it was called. Modules, frames and the like are never lent.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Iterator
from typing import Any

from .operations import ARITHMETIC, OPERATIONS, special, word

_OPERATIONS = frozenset(OPERATIONS) - {
    "dir", "isinstance", "issubclass", "delattr", "copy", "deepcopy", "send", "throw", "close"
}  # fmt: skip
_REFLECTED = {f"r{name}": word(name) for name in ARITHMETIC}


_NEVER = (types.ModuleType, types.FrameType, types.TracebackType, types.CodeType)
_HEAP_TYPE = 1 << 9
"""Flag of types that are made while a program runs; Python's own, such as frames, lack it."""
_OF_MOCKS = frozenset({
    "called", "call_count", "call_args", "call_args_list", "method_calls", "mock_calls",
    "return_value", "side_effect",
})  # fmt: skip


class Lent:
    """Everything that was lent in one conversation, by number; kept, so a number stays its own."""

    def __init__(self) -> None:
        self._objects: dict[int, Any] = {}
        self._whole: set[int] = set()

    def get(self, number: Any) -> Any:
        """What has that number.

        Raises:
            KeyError: nothing has.
        """
        if type(number) is not int:
            raise KeyError(str(number)[:100])
        return self._objects[number]

    def encode(self, value: Any) -> object | None:
        """What is sent for a thing of the test's; `None` if it can't be lent."""
        if isinstance(value, _NEVER):
            return None
        number = self._keep(value)
        if isinstance(value, Iterator):
            return {"I": number}
        if isinstance(value, BaseException):
            return self.exception(value)
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"Y": self._class_path(value)}
        if isinstance(value, type) or _is_function(value):
            return {"F": number}
        self._whole.add(number)
        return {"O": [number, type(value).__name__, special(type(value))]}

    def exception(self, error: BaseException) -> dict[str, Any]:
        """An exception of the test's own; its arguments are left to the caller to encode."""
        return {"X": [self._keep(error), self._class_path(type(error)), error]}

    def do(self, number: Any, operation: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        """Has one operation done on what was lent.

        Raises:
            PermissionError: it may not be done.
            Exception: what it raised.
        """
        target = self.get(number)
        if operation == "next" and isinstance(target, Iterator):
            return next(target)
        if operation == "call":
            return target(*arguments, **named)
        if number not in self._whole:
            raise PermissionError(f"{operation} can't be done to a {type(target).__name__}")
        if operation in _REFLECTED:
            return OPERATIONS[_REFLECTED[operation]](*arguments, target)
        if operation not in _OPERATIONS:
            raise PermissionError(f"{operation} can't be done to an object of the test's")
        if operation in ("getattr", "setattr"):
            _check_name(target, operation, arguments)
        return OPERATIONS[operation](target, *arguments)

    def _keep(self, value: Any) -> int:
        key = id(value)
        if isinstance(value, types.MethodType):  # a new object each time it is looked up
            for number, kept in self._objects.items():
                if type(kept) is types.MethodType and _same_method(kept, value):
                    return number
        self._objects[key] = value
        return key

    def _class_path(self, kind: type) -> list[list[Any]]:
        path: list[list[Any]] = []
        for step in kind.__mro__:
            if getattr(builtins, step.__name__, None) is step:
                return [*path, [step.__name__, 0]]
            path.append([step.__name__, self._keep(step)])
        return path


def _same_method(one: types.MethodType, other: types.MethodType) -> bool:
    return one.__self__ is other.__self__ and one.__func__ is other.__func__


def _is_function(value: object) -> bool:
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
        return True
    # what a partial object calls, and with what, is for the test to know
    return callable(value) and type(value).__module__.partition(".")[0] in ("functools", "numpy")


def _check_name(target: Any, operation: str, arguments: list[Any]) -> None:
    name = arguments[0] if arguments else None
    if type(name) is not str or name.startswith("_"):
        raise AttributeError(f"{str(name)[:100]!r} of an object of the test's can't be reached")
    if not type(target).__flags__ & _HEAP_TYPE:
        raise AttributeError(f"attributes of a {type(target).__name__} can't be reached")
    mock: Any = sys.modules.get("unittest.mock")
    is_mock = mock is not None and isinstance(target, mock.NonCallableMock)
    own = operation == "setattr" or name in _OF_MOCKS
    if is_mock and (own or hasattr(mock.NonCallableMock, name)):
        raise AttributeError(f"{name!r} of a mock is the test's own")
    if operation == "setattr" and callable(getattr(type(target), name, None)):
        raise AttributeError(f"{name!r} is a method of the test's and stays as it is")
