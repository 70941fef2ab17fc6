"""The candidate as the judge sees it: a remote function, and objects that stay on the other side.

Everything that arrives is decoded into exact builtin values or refused. A connection that breaks
the protocol once stays broken, and every later call fails.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import socket
import time
from _thread import RLock
from collections.abc import Callable, Generator, Iterator
from typing import Any

from . import wire

_CALLBACK_DEPTH = 50


class Lost(BaseException):
    """The candidate can't be asked any more, or never answered. No `except Exception` catches it.

    `reason` is `timeout`, `gone` (end of file) or `protocol`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class NotBuiltinError(Exception):
    """A function's reply is no builtin value."""


class Thrown(Exception):
    """The candidate threw something that is no `Exception` (SystemExit, KeyboardInterrupt ...)."""


class Remote:
    """One conversation with a candidate.

    Args:
        sock: connected to the candidate's process.
        wall_seconds: how long the candidate may take in all, the judge's own time not counted.
        reply_bytes: the longest reply that is taken.
        handles: whether objects that are no builtin value may come back as handles.
        mutates: whether changed arguments are written back.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        wall_seconds: float,
        reply_bytes: int,
        handles: bool,
        mutates: bool,
    ) -> None:
        self._sock = sock
        self._left = wall_seconds
        self._wall = wall_seconds
        self._reply_bytes = reply_bytes
        self._mutates = mutates
        self._lock = RLock()
        self._depth = 0
        self._ids = itertools.count(1)
        self._callbacks: dict[int, Any] = {}
        self._exceptions: dict[str, type[BaseException]] = {}
        self.calls = 0
        """How often the candidate was asked for anything."""
        self.lost: Lost | None = None
        """Why the conversation is over, once it is."""
        self.breaches: dict[str, str] = {}
        """Breaches of limits that the candidate reported of itself: outcome to detail."""
        self._encode = wire.Encoder(self._other)
        builders: dict[str, wire.Builder] = {
            "I": self._iterator,
            "A": lambda body: _Awaitable(self._decode(body)),
            "u": self._unencodable,
        }
        if handles:
            builders["h"] = self._handle
        self._decode = wire.Decoder(builders)

    def know_exceptions(self, namespace: dict[str, Any]) -> None:
        """Exception classes that the tests know by name, for those that the candidate raises."""
        for name, value in namespace.items():
            if isinstance(value, type) and issubclass(value, Exception):
                self._exceptions[name] = value

    def ready(self) -> None:
        """Waits until the program has been executed.

        Raises:
            Lost: it never was.
            BaseException: what the program raised at import.
        """
        self._result(0)

    def ask(
        self, operation: str, target: object, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Has one operation done on the other side and returns its value.

        Raises:
            Lost: no reply that could be used.
            Exception: what the candidate raised, as the same builtin type.
        """
        with self._lock:
            if self.lost is not None:
                raise Lost(self.lost.reason, self.lost.detail)
            self.calls += 1
            call = next(self._ids)
            mutates = self._mutates and operation == "call"
            message = {
                "c": call,
                "o": operation,
                "t": target,
                "a": [self._encode(item) for item in arguments],
                "k": {key: self._encode(item) for key, item in named.items()},
                "m": mutates,
            }
            frame = wire.dump(message)
            try:
                self._sock.settimeout(max(self._left, 0.01))
                self._sock.sendall(frame)
            except OSError:
                pass  # whether it is gone or slow, the wait for its reply will tell
            return self._result(call, arguments if mutates else ())

    def request(self, message: dict[str, Any]) -> Any:
        """One exchange with trusted guest code (a program's runner), as plain JSON.

        Raises:
            Lost: no reply.
        """
        self.calls += 1
        self._sock.settimeout(None)
        self._sock.sendall(wire.dump(message))
        return wire.receive(self._sock)

    def _receive(self) -> Any:
        started = time.monotonic()
        self._sock.settimeout(max(self._left, 0.01))
        try:
            message = wire.receive(self._sock, self._reply_bytes)
        except TimeoutError:
            raise self._end("timeout", f"no reply within {self._wall:g} s of wall time") from None
        except wire.WireError as error:
            raise self._end("protocol", str(error)) from None
        except OSError as error:
            raise self._end("gone", f"the connection broke: {error.strerror}") from None
        finally:
            self._left -= time.monotonic() - started
        if message is None:
            raise self._end("gone", "the program ended before it answered")
        if type(message) is not dict:
            raise self._end("protocol", "a reply is no object")
        if self._left <= 0:
            raise self._end("timeout", f"more than {self._wall:g} s of wall time in all")
        return message

    def _result(self, call: int, written_back: tuple[Any, ...] = ()) -> Any:
        while True:
            message = self._receive()
            if "b" in message:
                self._call_back(message)
                continue
            if message.get("r") != call or type(message.get("r")) is not int:
                raise self._end("protocol", "a reply to no open call")
            if not set(message) <= {"r", "v", "x", "m"} or ("v" in message) == ("x" in message):
                raise self._end("protocol", "a reply of the wrong shape")
            try:
                if "x" in message:
                    raise self._exception(message["x"])
                for place, changed in zip(written_back, message.get("m", ()), strict=False):
                    _overwrite(place, self._decode(changed))
                return self._decode(message["v"])
            except wire.WireError as error:
                raise self._end("protocol", str(error)) from None

    def _end(self, reason: str, detail: str) -> Lost:
        self.lost = Lost(reason, detail)
        self._sock.close()
        return self.lost

    def _exception(self, body: Any) -> BaseException:
        try:
            names, arguments, text, trace, number, handle = body
            if not all(type(name) is str for name in names) or type(text) is not str:
                raise TypeError
            values = [self._decode(item) for item in arguments]
            lines = [str(line)[:300] for line in trace][:20]
        except (ValueError, TypeError) as error:
            raise wire.WireError(f"an exception is malformed: {type(error).__name__}") from None
        self._note_breach(names, text, number)
        made = self._build_exception(names, values, text)
        made.__remote__ = {"type": names[0] if names else "?", "trace": lines}  # type: ignore[attr-defined]
        if type(handle) is int and handle:
            made.__handle__ = Handle(self, handle, names[0], False)  # type: ignore[attr-defined]
        return made

    def _build_exception(self, names: list[str], values: list[Any], text: str) -> BaseException:
        first = names[0] if names else "?"
        for name in names:
            known = self._exceptions.get(name) or getattr(builtins, name, None)
            if not (isinstance(known, type) and issubclass(known, BaseException)):
                continue
            if not issubclass(known, Exception):
                return Thrown(f"{first}: {text}" if text else first)
            for attempt in (values, [text]):
                try:
                    return known(*attempt)
                except Exception:
                    continue
        return Thrown(f"{first}: {text}")

    def _note_breach(self, names: list[str], text: str, number: Any) -> None:
        if "MemoryError" in names:
            self.breaches.setdefault("memory", "MemoryError in the program")
        elif "oversized" in names:
            self.breaches.setdefault("protocol", text)
        elif "OSError" in names and number in (27, 28, 122):
            self.breaches.setdefault("disk", text)
        elif ("BlockingIOError" in names and number == 11) or "can't start new thread" in text:
            self.breaches.setdefault("pids", text)

    def _call_back(self, message: dict[str, Any]) -> None:
        function = self._callbacks.get(message.get("f", -1))
        if function is None or self._depth >= _CALLBACK_DEPTH:
            raise self._end("protocol", "a call back into nothing that was given")
        self._depth += 1
        try:
            arguments = [self._decode(item) for item in message["a"]]
            named = {key: self._decode(item) for key, item in message["k"].items()}
            reply: dict[str, Any] = {"v": self._encode(function(*arguments, **named))}
        except (wire.WireError, KeyError, AttributeError) as error:
            if isinstance(error, wire.WireError):
                raise self._end("protocol", str(error)) from None
            reply = {"x": [type(error).__name__, []]}
        except Exception as error:
            name = next(
                cls.__name__ for cls in type(error).__mro__ if hasattr(builtins, cls.__name__)
            )
            reply = {"x": [name, [str(item) for item in error.args]]}
        finally:
            self._depth -= 1
        with contextlib.suppress(OSError):  # the wait for the reply to the outer call will tell
            self._sock.sendall(wire.dump(reply))

    def _other(self, value: object) -> object:
        """Encodes an argument that is no builtin value."""
        if isinstance(value, Handle):
            return _number(value)
        if isinstance(value, RemoteFunction):
            return value._target
        if isinstance(value, Iterator):
            number = id(value)
            self._callbacks[number] = value.__next__
            self._callbacks[-number] = value
            return {"I": number}
        if isinstance(value, type) and value.__module__ == "builtins":
            return {"T": value.__name__}
        if callable(value):
            self._callbacks[id(value)] = value
            return {"F": id(value)}
        try:
            return self._encode(wire.plain(value))
        except TypeError:
            pass
        if hasattr(value, "tolist"):  # numpy arrays and scalars
            return self._encode(value.tolist())
        raise TypeError(
            f"an argument of type {type(value).__name__} can't be sent to the candidate; "
            "use builtin values"
        )

    def _handle(self, body: Any) -> Handle:
        number, name, is_callable = body
        if type(number) is not int or type(name) is not str or type(is_callable) is not bool:
            raise wire.WireError("a handle is malformed")
        return Handle(self, number, name, is_callable)

    def _iterator(self, number: Any) -> Iterator[Any]:
        if type(number) is not int:
            raise wire.WireError("an iterator is malformed")
        return _RemoteIterator(self, number)

    def _unencodable(self, name: Any) -> Any:
        raise NotBuiltinError(f"returned a {str(name)[:100]}, which is no builtin value")


def _overwrite(place: Any, changed: Any) -> None:
    """Writes a changed argument back into the judge's own object."""
    if type(place) is not type(changed):
        return
    if isinstance(place, (list, bytearray)):
        place[:] = changed
    elif isinstance(place, (dict, set)):
        place.clear()
        place.update(changed)


class _RemoteIterator:
    """Items of a candidate's iterator, each a builtin value, fetched as they are asked for."""

    def __init__(self, remote: Remote, number: int) -> None:
        self._remote = remote
        self._number = number

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._remote.ask("next", {"h": self._number}, (), {})


class _Awaitable:
    """What a candidate's coroutine returned, for a test that awaits it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        return self._value
        yield  # makes this a generator


class RemoteFunction:
    """The candidate's entry point: calling it calls the candidate."""

    def __init__(self, remote: Remote, name: str) -> None:
        self._remote = remote
        self._target = {"g": name}
        self.__name__ = self.__qualname__ = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._remote.ask("call", self._target, arguments, named)

    def __repr__(self) -> Any:
        return f"<candidate {self.__name__}>"


class RemoteClass(RemoteFunction):
    """The candidate's entry point where it is a class: calling it gives a handle."""

    def __getattr__(self, name: str) -> Any:
        return self._remote.ask("getattr", self._target, (name,), {})

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, Handle) and _exactly(
            bool, self._remote.ask("isinstance", _number(instance), (self,), {})
        )


_HANDLE_SLOTS = ("_remote", "_number", "_name", "_callable")


class Handle:
    """An object that stays in the candidate's process.

    Its methods and attributes are further calls. It never equals a builtin value; two handles are
    compared by asking the candidate for an exact bool.
    """

    __slots__ = _HANDLE_SLOTS

    def __init__(self, remote: Remote, number: int, name: str, is_callable: bool) -> None:
        for slot, value in zip(_HANDLE_SLOTS, (remote, number, name, is_callable), strict=True):
            object.__setattr__(self, slot, value)

    def __getattr__(self, name: str) -> Any:
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        _ask(self, "delattr", name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        remote = object.__getattribute__(self, "_remote")
        return remote.ask("call", _number(self), arguments, named)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and _exactly(bool, _ask(self, "eq", other))

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, Handle) or _exactly(bool, _ask(self, "ne", other))

    def __hash__(self) -> Any:
        return _exactly(int, _ask(self, "hash"))

    def __bool__(self) -> Any:
        return _exactly(bool, _ask(self, "bool"))

    def __len__(self) -> Any:
        return _exactly(int, _ask(self, "len"))

    def __contains__(self, item: object) -> Any:
        return _exactly(bool, _ask(self, "contains", item))

    def __str__(self) -> Any:
        return _exactly(str, _ask(self, "str"))

    def __repr__(self) -> Any:
        return _exactly(str, _ask(self, "repr"))

    def __format__(self, spec: str) -> Any:
        return _exactly(str, _ask(self, "format", spec))

    def __int__(self) -> Any:
        return _exactly(int, _ask(self, "int"))

    def __float__(self) -> Any:
        return _exactly(float, _ask(self, "float"))

    def __complex__(self) -> Any:
        return _exactly(complex, _ask(self, "complex"))

    def __index__(self) -> Any:
        return _exactly(int, _ask(self, "index"))

    def __bytes__(self) -> Any:
        return _exactly(bytes, _ask(self, "bytes"))

    def __dir__(self) -> Any:
        return _exactly(list, _ask(self, "dir"))

    def __iter__(self) -> Iterator[Any]:
        iterator = _ask(self, "iter")
        if not isinstance(iterator, Handle):
            return iter(iterator)
        return _HandleIterator(iterator)

    def __next__(self) -> Any:
        return _ask(self, "next")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        if error is None:
            return _ask(self, "exit", None, None, None)
        raised = getattr(error, "__handle__", None)
        return _ask(self, "exit", None, raised, None)


class _HandleIterator:
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return _ask(self._handle, "next")


def _number(handle: Handle) -> dict[str, int]:
    return {"h": object.__getattribute__(handle, "_number")}


def _ask(handle: Handle, operation: str, *arguments: Any) -> Any:
    remote = object.__getattribute__(handle, "_remote")
    return remote.ask(operation, _number(handle), arguments, {})


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"a {kind.__name__} was expected, not a {type(value).__name__}")
    return value


def _forward(operation: str) -> Callable[..., Any]:
    def method(self: Handle, *arguments: Any) -> Any:
        return _ask(self, operation, *arguments)

    return method


def _ordering(operation: str) -> Callable[..., Any]:
    """Order among handles only: were a handle asked whether it is more than 3, it could say yes."""

    def method(self: Handle, other: object) -> Any:
        if not isinstance(other, Handle):
            return NotImplemented
        return _exactly(bool, _ask(self, operation, other))

    return method


def _reflected(operation: str) -> Callable[..., Any]:
    def method(self: Handle, other: Any) -> Any:
        remote = object.__getattribute__(self, "_remote")
        return remote.ask(operation, remote._encode(other), (self,), {})

    return method


for _name in ("getitem", "setitem", "delitem", "reversed", "enter", "round", "neg", "pos", "abs",
              "invert", "iadd", "isub", "imul", "itruediv", "ifloordiv",
              "imod", "ipow", "imatmul", "iand", "ior", "ixor", "ilshift", "irshift"):  # fmt: skip
    setattr(Handle, f"__{_name}__", _forward(_name))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Handle, f"__{_name}__", _ordering(_name))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or",
              "xor", "lshift", "rshift", "divmod"):  # fmt: skip
    _operation = f"{_name}_" if _name in ("and", "or") else _name
    setattr(Handle, f"__{_name}__", _forward(_operation))
    setattr(Handle, f"__r{_name}__", _reflected(_operation))
