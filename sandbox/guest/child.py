"""The candidate's process: runs the program, then answers calls until the judge hangs up.

Nothing here is trusted by anybody. What the process says are claims, which the judge decodes into
builtin values and compares itself.

From the judge: `{"c": id, "o": operation, "t": target, "a": [...], "k": {...}, "m": bool}`.
To the judge: `{"r": id, "v": value}` with `"m": [...]` for changed arguments, or `{"r": id, "x":
exception}`, or `{"b": id, "f": callback, "a": [...]}`, a call back into a function it was given.
"""

from __future__ import annotations

import builtins
import collections
import enum
import linecache
import operator
import socket
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from . import wire

_TRACEBACK_LINES = 12
_TEXT_LIMIT = 2000

_COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")

OPERATIONS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "contains": operator.contains,
    "len": len,
    "iter": iter,
    "next": next,
    "reversed": reversed,
    "bool": bool,
    "str": str,
    "repr": repr,
    "hash": hash,
    "format": format,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "bytes": bytes,
    "round": round,
    "dir": dir,
    "isinstance": isinstance,
    "issubclass": issubclass,
    "divmod": divmod,
    "enter": lambda manager: type(manager).__enter__(manager),
    "exit": lambda manager, *error: type(manager).__exit__(manager, *error),
    **{
        name: getattr(operator, name)
        for name in (
            "eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod",
            "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift", "neg", "pos", "abs",
            "invert", "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul",
            "iand", "ior", "ixor", "ilshift", "irshift",
        )
    },
}  # fmt: skip
"""What can be done to an object that stays here, by the name that the judge uses."""


class Session:
    """One program and its conversation with the judge."""

    def __init__(self, sock: socket.socket, *, handles: bool, reply_bytes: int) -> None:
        self._sock = sock
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
                "I": self._iterator,
            }
        )
        self._module: types.ModuleType | None = None

    def run(self, program: str, module_name: str, filename: str) -> None:
        """Executes the program as a module and reports that it is ready, or how it failed."""
        module = types.ModuleType(module_name)
        module.__file__ = filename
        sys.modules[module_name] = module
        self._module = module
        linecache.cache[filename] = (len(program), None, program.splitlines(True), filename)
        try:
            exec(compile(program, filename, "exec", dont_inherit=True), module.__dict__)
        except BaseException as error:
            self._send({"r": 0, "x": self._exception(error)})
        else:
            self._send({"r": 0, "v": None})

    def serve(self) -> None:
        """Answers calls until the judge hangs up."""
        while True:
            message = wire.receive(self._sock)
            if message is None:
                return
            self._answer(message)

    def _answer(self, message: dict[str, Any]) -> None:
        call = message["c"]
        try:
            target = self._decode(message["t"])
            arguments = [self._decode(item) for item in message["a"]]
            named = {key: self._decode(item) for key, item in message["k"].items()}
            if message["o"] == "call":
                result = target(*arguments, **named)
            else:
                result = OPERATIONS[message["o"]](target, *arguments, **named)
            if type(result) is types.CoroutineType:
                import asyncio

                reply = {"r": call, "v": {"A": self._encode(asyncio.run(result))}}
            else:
                reply = {"r": call, "v": self._encode(result)}
            if message["m"]:
                reply["m"] = [self._encode(item) for item in arguments]
        except BaseException as error:
            reply = {"r": call, "x": self._exception(error)}
        self._send(reply)

    def _send(self, reply: dict[str, Any]) -> None:
        try:
            frame = wire.dump(reply)
        except (RecursionError, ValueError, MemoryError) as error:
            frame = wire.dump({"r": reply["r"], "x": self._exception(error)})
        if len(frame) > self._reply_bytes:
            long = ValueError(f"the reply takes {len(frame)} bytes, {self._reply_bytes} allowed")
            frame = wire.dump({"r": reply["r"], "x": self._exception(long, "oversized")})
        self._sock.sendall(frame)

    def _other(self, value: object) -> object:
        """Encodes what has no tag of its own: a plain value in disguise, an iterator, a handle."""
        if self._handles_allowed:
            return self._handle(value)
        if isinstance(value, Iterator):
            self._objects[id(value)] = value
            return {"I": id(value)}
        try:
            return self._encode(wire.plain(value))
        except TypeError:
            return {"u": type(value).__name__[:100]}

    def _handle(self, value: object) -> object:
        number = id(value)
        self._objects[number] = value  # kept, so that the number stays its own
        if isinstance(value, type) and issubclass(value, Exception):
            if value.__module__ == "builtins":
                return {"T": value.__name__}
            return {"E": _classes(value)}
        handle = [number, type(value).__name__[:100], callable(value)]
        if _is_dressed(value):
            handle.append(self._encode(wire.plain(value)))
        return {"h": handle}

    def _object(self, number: Any) -> Any:
        return self._objects[number]

    def _callback(self, number: Any) -> Callable[..., Any]:
        def callback(*arguments: Any, **named: Any) -> Any:
            self._callbacks += 1
            call = self._callbacks
            self._send(
                {
                    "b": call,
                    "r": -1,
                    "f": number,
                    "a": [self._encode(item) for item in arguments],
                    "k": {key: self._encode(item) for key, item in named.items()},
                }
            )
            while True:
                reply = wire.receive(self._sock)
                if reply is None:
                    raise SystemExit
                if "c" in reply:  # the callback itself calls the candidate
                    self._answer(reply)
                    continue
                if "x" in reply:
                    kind = getattr(builtins, reply["x"][0], Exception)
                    raise kind(*self._decode(reply["x"][1]))
                return self._decode(reply["v"])

        return callback

    def _iterator(self, number: Any) -> Iterator[Any]:
        advance = self._callback(number)
        while True:
            try:
                item = advance()
            except StopIteration:
                return
            yield item

    def _exception(self, error: BaseException, name: str = "") -> list[Any]:
        """An exception as names of its classes, its arguments, its text and its traceback."""
        classes = _classes(type(error))
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
        if self._handles_allowed and isinstance(error, Exception):
            handle = id(error)
            self._objects[handle] = error
        return [
            [[name, 0], *classes] if name else classes,
            arguments,
            text,
            _trace(error),
            number if type(number) is int else None,
            handle,
        ]


def _classes(kind: type) -> list[list[Any]]:
    """An exception class and its bases, by name and number."""
    return [[cls.__name__[:100], id(cls)] for cls in kind.__mro__ if cls is not object][:20]


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


def _trace(error: BaseException) -> list[str]:
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


def answer(sock: socket.socket, job: dict[str, Any]) -> None:
    """The child's main function: run the program, serve its functions, and end."""
    session = Session(
        sock, handles=job["kind"] == "class", reply_bytes=int(job["limits"]["reply_bytes"])
    )
    session.run(job["program"], job["module"], f"{job['module']}.py")
    session.serve()
