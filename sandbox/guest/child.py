"""The candidate's process: runs the program, then answers calls until the judge hangs up.

Nothing here is trusted by anybody. What the process says are claims, which the judge decodes into
builtin values and compares itself.

From the judge: `{"c": id, "o": operation, "t": target, "a": [...], "k": {...}, "m": bool}`, and
with `"p": [seconds, bytes]` a probe, which is stopped when its time is up.
To the judge: `{"r": id, "v": value}` with `"m": [...]` for changed arguments, or `{"r": id, "x":
exception}`, or `{"b": id, "f": callback, "a": [...]}`, a call back into a function it was given.
"""

from __future__ import annotations

import builtins
import collections
import enum
import linecache
import signal
import socket
import sys
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from . import borrowed, buffers, describe, endless, wire
from .operations import OPERATIONS

_TEXT_LIMIT = 2000
_ATTRIBUTES = 50
_CAUSES = 5

_COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")


class TimeUp(BaseException):
    """A probe took too long. No `Exception`, so that a program's own handlers let it through."""


class Session:
    """One program and its conversation with the judge."""

    def __init__(self, sock: socket.socket, *, handles: bool, reply_bytes: int) -> None:
        self._sock = sock
        self._reader = wire.Reader(sock)
        self._handles_allowed = handles
        self._reply_bytes = reply_bytes
        self._objects: dict[int, Any] = {}
        self._callbacks = 0
        self._encode = wire.Encoder(self._other)
        self._decode = wire.Decoder(
            {
                "h": self._object,
                "g": lambda name: getattr(self._module, name),
                "T": lambda name: getattr(builtins, name),
                "F": self._callback,
                "I": lambda number: borrowed.iterate(lambda: self._back(number, "next")),
                "O": self._borrow,
                "X": lambda body: self._errors.make(body, self._decode.sequence(body[2])),
                "Y": lambda classes: self._errors.kind(classes),
                "N": buffers.numpy_array,
                "P": buffers.element_type,
                "A": lambda body: _ready(self._decode(body)),
            }
        )
        self._module: types.ModuleType | None = None
        self._errors = borrowed.Errors()
        self._borrowed: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._runner: Any = None
        self._watch: endless.Watch | None = None

    def run(self, program: str, module_name: str, filename: str) -> None:
        """Executes the program as a module and reports that it is ready, or how it failed."""
        module = types.ModuleType(module_name)
        module.__file__ = filename
        sys.modules[module_name] = module
        self._module = module
        linecache.cache[filename] = (len(program), None, program.splitlines(True), filename)
        self._watch = endless.Watch(program, filename)
        self._watch.listen()
        self._watch.arm()
        try:
            exec(compile(program, filename, "exec", dont_inherit=True), module.__dict__)
        except BaseException as error:
            self._send({"r": 0, "x": self._exception(error)})
        else:
            self._send({"r": 0, "v": None})

    def serve(self) -> None:
        """Answers calls until the judge hangs up."""
        while True:
            message = self._reader.receive()
            if message is None:
                return
            if self._watch is not None and "p" not in message:
                self._watch.arm()
            self._answer(message)

    def _answer(self, message: dict[str, Any]) -> None:
        if "p" in message:
            self._send(*self._observed(message, *message["p"]))
        else:
            self._send(self._reply(message))

    def _observed(
        self, message: dict[str, Any], seconds: float, most: int
    ) -> tuple[dict[str, Any], int]:
        """The reply to a probe, which may take so much cpu time, and the bytes that it may have.

        A program that won't let itself be stopped is ended by the judge.
        """

        def stop(_signal: int, _frame: object) -> None:
            raise TimeUp

        try:
            signal.signal(signal.SIGVTALRM, stop)
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
            reply = self._reply(message)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except TimeUp as error:
            reply = {"r": message["c"], "x": self._exception(error)}
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        return reply, min(most, self._reply_bytes)

    def _reply(self, message: dict[str, Any]) -> dict[str, Any]:
        call = message["c"]
        try:
            target = self._decode(message["t"])
            arguments = [self._decode(item) for item in message["a"]]
            named = {key: self._decode(item) for key, item in message["k"].items()}
            operation = message["o"]
            awaited = False
            if operation == "call":
                result = target(*arguments, **named)
                awaited = isinstance(result, types.CoroutineType)
            elif operation == "describe":
                result = self._describe(target)
            elif operation == "name":
                return {"r": call, "v": self._name(arguments[0])}
            else:
                result = OPERATIONS[operation](target, *arguments, **named)
                awaited = operation in ("anext", "aenter", "aexit")
            if awaited:
                reply = {"r": call, "v": {"A": self._awaited(result)}}
            else:
                reply = {"r": call, "v": self._encode(result)}
            if message["m"]:
                reply["m"] = [self._encode(item) for item in arguments]
        except BaseException as error:
            reply = {"r": call, "x": self._exception(error)}
        return reply

    def _send(self, reply: dict[str, Any], most: int = 0) -> None:
        most = most or self._reply_bytes
        try:
            frame = wire.dump(reply)
        except (RecursionError, ValueError, MemoryError) as error:
            frame = wire.dump({"r": reply["r"], "x": self._exception(error)})
        if len(frame) > most:
            long = ValueError(f"the reply takes {len(frame)} bytes, {most} allowed")
            frame = wire.dump({"r": reply["r"], "x": self._exception(long, "oversized")})
        self._sock.sendall(frame)

    def _awaited(self, awaitable: Any) -> list[Any]:
        """What came of an awaitable: its value, or what it raised."""
        import asyncio

        if self._runner is None:
            self._runner = asyncio.Runner()  # one loop for all, to which locks and queues belong

        async def wait() -> Any:
            return await awaitable

        try:
            return ["v", self._encode(self._runner.run(wait()))]
        except Exception as error:
            return ["x", self._exception(error)]

    def _describe(self, kind: type) -> dict[str, Any]:
        for base in kind.__mro__:
            self._objects[id(base)] = base
        return describe.describe(kind)

    def _name(self, name: str) -> object:
        """What a name of the module is: none for a function, else whether class or value."""
        value = getattr(self._module, name)
        if isinstance(value, type):
            return {"t": ["class", self._encode(value)]}
        if callable(value):
            return None
        return {"t": ["value", self._encode(value)]}

    def _other(self, value: object) -> object:
        """Encodes what has no tag of its own: a plain value in disguise, an iterator, a handle."""
        own = borrowed.number_of(value) or self._numbers.get(id(value), 0)
        if own:
            return {"L": own}
        array = buffers.encode(value)
        if array is not None:
            return array
        if self._handles_allowed:
            return self._handle(value)
        what = _iterator_kind(value)
        if what:
            self._objects[id(value)] = value
            return {"I": [id(value), what]}
        if isinstance(value, type):
            if issubclass(value, Exception) and describe.is_own(value):
                self._objects[id(value)] = value
                return {"C": id(value)}
            return {"u": "type"}
        try:
            return self._encode(wire.plain(value))
        except TypeError:
            return {"u": type(value).__name__[:100]}

    def _handle(self, value: object) -> object:
        number = id(value)
        self._objects[number] = value  # kept, so that the number stays its own
        if isinstance(value, type):
            name = value.__name__
            if value.__module__ == "builtins" and getattr(builtins, name, None) is value:
                return {"T": name}
            return {"C": number}
        if isinstance(value, Exception):
            return {"X": self._exception(value)}
        handle = self._handle_body(value)
        if _is_dressed(value):
            handle.append(self._encode(wire.plain(value)))
        return {"h": handle}

    def _handle_body(self, value: object) -> list[Any]:
        self._objects[id(value)] = value
        self._objects[id(type(value))] = type(value)
        return [id(value), id(type(value))]

    def _object(self, number: Any) -> Any:
        return self._objects[number]

    def _borrow(self, body: Any) -> Any:
        number, name, special = body
        if number not in self._borrowed:
            self._borrowed[number] = borrowed.borrow(self._operate, number, name, special)
        return self._borrowed[number]

    def _callback(self, number: Any) -> Callable[..., Any]:
        if number not in self._borrowed:

            def callback(*arguments: Any, **named: Any) -> Any:
                return self._operate(number, "call", arguments, named)

            self._borrowed[number] = callback
            self._numbers[id(callback)] = number
        found: Callable[..., Any] = self._borrowed[number]
        return found

    def _back(self, number: int, operation: str) -> Any:
        return self._operate(number, operation, (), {})

    def _operate(
        self, number: int, operation: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Has the judge do something with a thing of the test's."""
        self._callbacks += 1
        self._send(
            {
                "b": self._callbacks,
                "r": -1,
                "f": number,
                "o": operation,
                "a": [self._encode(item) for item in arguments],
                "k": {key: self._encode(item) for key, item in named.items()},
            }
        )
        while True:
            reply = self._reader.receive()
            if reply is None:
                raise SystemExit
            if "c" in reply:  # the callback itself calls the candidate
                self._answer(reply)
                continue
            if "x" in reply:
                raise self._decode(reply["x"])
            return self._decode(reply["v"])

    def _exception(self, error: BaseException, name: str = "", depth: int = 0) -> list[Any]:
        """An exception as names of its classes, its arguments, its text and its traceback."""
        classes = describe.classes(type(error))
        try:
            arguments = [self._encode(item) for item in error.args]
            if any(isinstance(item, dict) and ("u" in item or "h" in item) for item in arguments):
                arguments = []
        except BaseException:
            arguments = []
        try:
            text = str(error)[:_TEXT_LIMIT]
        except BaseException:
            text = ""
        number = getattr(error, "errno", None)
        handle = 0
        if isinstance(error, Exception):
            for kind in type(error).__mro__:
                self._objects[id(kind)] = kind
            if self._handles_allowed:
                handle = id(error)
                self._objects[handle] = error
        return [
            [[name, 0, ""], *classes] if name else classes,
            arguments,
            text,
            describe.trace(error),
            number if type(number) is int else None,
            handle,
            self._more(error, depth),
        ]

    def _more(self, error: BaseException, depth: int) -> dict[str, Any]:
        """What else an exception has: the test's own number, attributes, where it came from."""
        more: dict[str, Any] = {"d": {}, "from": None, "in": None}
        own = self._errors.number(error)
        if own:
            more["own"] = own
        elif kind := self._errors.number(type(error)):
            more["kind"] = kind
        if not isinstance(error, Exception):
            return more
        for name, value in list(vars(error).items())[:_ATTRIBUTES]:
            try:
                told = self._encode(value)
            except BaseException:
                continue
            if type(name) is str and "u" not in (told if isinstance(told, dict) else ()):
                more["d"][name] = told
        if depth < _CAUSES:
            if error.__cause__ is not None:
                more["from"] = self._exception(error.__cause__, depth=depth + 1)
            elif error.__context__ is not None and not error.__suppress_context__:
                more["in"] = self._exception(error.__context__, depth=depth + 1)
        return more


async def _ready(value: Any) -> Any:
    """What a coroutine of the test's returned."""
    return value


def _iterator_kind(value: object) -> str:
    if isinstance(value, types.GeneratorType):
        return "generator"
    if isinstance(value, Iterator):
        return "iterator"
    return "async" if isinstance(value, AsyncIterator) else ""


def _is_dressed(value: object) -> bool:
    """Whether a value is a builtin one but for names that it has besides."""
    kind = type(value)
    if kind in (collections.Counter, collections.defaultdict, collections.OrderedDict):
        return True
    if isinstance(value, tuple):
        base: type = tuple
        dressed = hasattr(kind, "_fields")
    else:
        base = next((base for base in (int, float, str) if isinstance(value, base)), object)
        dressed = base is not object and isinstance(value, enum.Enum)
    return dressed and all(getattr(kind, name) is getattr(base, name) for name in _COMPARISONS)


def answer(sock: socket.socket, job: dict[str, Any]) -> None:
    """The child's main function: run the program, serve its functions, and end."""
    session = Session(
        sock, handles=job["kind"] == "class", reply_bytes=int(job["limits"]["reply_bytes"])
    )
    session.run(job["program"], job["module"], f"{job['module']}.py")
    session.serve()
    endless.disarm()
