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
from collections.abc import Iterator
from typing import Any

from . import wire
from .handles import Dressed, Handle, Target, dress, is_instance, made, number, undress

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
        self._classes: dict[int, type[Exception]] = {}
        self.calls = 0
        """How often the candidate was asked for anything."""
        self.lost: Lost | None = None
        """Why the conversation is over, once it is."""
        self.breaches: dict[str, str] = {}
        """Breaches of limits that the candidate reported of itself: outcome to detail."""
        self.encode = wire.Encoder(self._other)
        """What is sent for a value."""
        builders: dict[str, wire.Builder] = {
            "I": self._iterator,
            "A": lambda body: _ready(self._decode(body)),
            "u": self._unencodable,
        }
        if handles:
            builders |= {"h": self._handle, "E": self._exception_class, "T": _builtin_type}
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
                "a": [self.encode(item) for item in arguments],
                "k": {key: self.encode(item) for key, item in named.items()},
                "m": mutates,
            }
            frame = wire.dump(message)
            try:
                self._sock.settimeout(max(self._left, 0.01))
                self._sock.sendall(frame)
            except OSError:
                pass  # whether it is gone or slow, the wait for its reply will tell
            try:
                return self._result(call, arguments if mutates else ())
            except StopIteration as error:
                if operation == "next":
                    raise
                # As in a generator: it would end the test's own loop or map before its time.
                raise RuntimeError(f"the candidate raised StopIteration {error}") from None

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
        deadline = started + max(self._left, 0.01)
        try:
            message = wire.receive(self._sock, self._reply_bytes, deadline=deadline)
        except TimeoutError:
            raise self._end("timeout", f"no reply within {self._wall:g} s of wall time") from None
        except wire.WireError as error:
            raise self._end("protocol", str(error)) from None
        except MemoryError:
            raise self._end("protocol", "a reply takes too much memory") from None
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
            raised: BaseException | None = None
            value: Any = None
            try:
                if "x" in message:
                    raised = self._exception(message["x"])
                elif written_back:
                    changes = self._decode.sequence(message.get("m"))
                    for place, changed in zip(written_back, changes, strict=False):
                        _overwrite(place, changed)
                if "v" in message:
                    value = self._decode(message["v"])
            except wire.WireError as error:
                raise self._end("protocol", str(error)) from None
            except MemoryError:
                raise self._end("protocol", "a reply takes too much memory") from None
            if raised is not None:
                raise raised
            return value

    def _end(self, reason: str, detail: str) -> Lost:
        self.lost = Lost(reason, detail)
        self._sock.close()
        return self.lost

    def _exception(self, body: Any) -> BaseException:
        try:
            classes, arguments, text, trace, errno, handle = body
            names = [name for name, _ in classes]
            if not names or not all(type(name) is str for name in names) or type(text) is not str:
                raise TypeError
            values = self._arguments(arguments)
            lines = [str(line)[:300] for line in trace][:20]
        except (ValueError, TypeError) as error:
            raise wire.WireError(f"an exception is malformed: {type(error).__name__}") from None
        self._note_breach(names, text, errno)
        raised = self._build_exception(classes, values, text)
        raised.__remote__ = {"type": names[0], "trace": lines}  # type: ignore[attr-defined]
        if type(handle) is int and handle:
            raised.__handle__ = Handle(self, handle, names[0], False)  # type: ignore[attr-defined]
        return raised

    def _arguments(self, arguments: Any) -> list[Any]:
        try:
            return self._decode.sequence(arguments)
        except NotBuiltinError:
            return []  # its text will do

    def _build_exception(self, classes: list[Any], values: list[Any], text: str) -> BaseException:
        first = classes[0][0]
        for name, told in classes:
            known: Any = self._classes.get(told) if type(told) is int else None
            known = known or self._exceptions.get(name) or getattr(builtins, name, None)
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

    def _note_breach(self, names: list[str], text: str, errno: Any) -> None:
        if "MemoryError" in names or ("OSError" in names and errno == 12):
            self.breaches.setdefault("memory", f"{names[0]} in the program")
        elif "oversized" in names:
            self.breaches.setdefault("protocol", text)
        elif "OSError" in names and errno in (27, 28, 122):
            self.breaches.setdefault("disk", text)
        elif ("BlockingIOError" in names and errno == 11) or "can't start new thread" in text:
            self.breaches.setdefault("pids", text)

    def _call_back(self, message: dict[str, Any]) -> None:
        which = message.get("f")
        function = self._callbacks.get(which) if type(which) is int else None
        if type(message.get("a")) is not list or type(message.get("k")) is not dict:
            function = None
        if function is None or self._depth >= _CALLBACK_DEPTH:
            raise self._end("protocol", "a call back into nothing that was given")
        self._depth += 1
        try:
            arguments = [self._decode(item) for item in message["a"]]
            named = {key: self._decode(item) for key, item in message["k"].items()}
            reply: dict[str, Any] = {"v": self.encode(function(*arguments, **named))}
        except wire.WireError as error:
            raise self._end("protocol", str(error)) from None
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
        if isinstance(value, Dressed):
            value = undress(value)
        if isinstance(value, Handle):
            return number(value)
        if isinstance(value, Target):
            return value.encoded
        if isinstance(value, RemoteFunction):
            return value._target
        if isinstance(value, Iterator):
            self._callbacks[id(value)] = value.__next__  # which keeps it, and so its number
            return {"I": id(value)}
        if isinstance(value, type) and value.__module__ == "builtins":
            return {"T": value.__name__}
        for told, known in self._classes.items():
            if known is value:
                return {"h": told}
        if callable(value):
            self._callbacks[id(value)] = value
            return {"F": id(value)}
        try:
            return self.encode(wire.plain(value))
        except TypeError:
            pass
        if hasattr(value, "tolist"):  # numpy arrays and scalars
            return self.encode(value.tolist())
        raise TypeError(
            f"an argument of type {type(value).__name__} can't be sent to the candidate; "
            "use builtin values"
        )

    def _handle(self, body: Any) -> Any:
        told, name, is_callable, *value = body
        if type(told) is not int or type(name) is not str or type(is_callable) is not bool:
            raise wire.WireError("a handle is malformed")
        handle = Handle(self, told, name, is_callable)
        return dress(self._decode(value[0]), handle) if value else handle

    def _exception_class(self, body: Any) -> type[Exception]:
        """A class for an exception class of the candidate's, so that tests can catch it."""
        (name, told), *above = body
        if type(name) is not str or type(told) is not int:
            raise wire.WireError("an exception class is malformed")
        if told not in self._classes:
            bases: list[type] = []
            for step, (other, _number) in enumerate(above):
                base = self._exceptions.get(other) or getattr(builtins, other, None)
                if not isinstance(base, type):
                    base = self._exception_class(above[step:])
                if issubclass(base, Exception) and not any(issubclass(b, base) for b in bases):
                    bases.append(base)
            self._classes[told] = type(name, tuple(bases) or (Exception,), {})
        return self._classes[told]

    def _iterator(self, told: Any) -> Iterator[Any]:
        if type(told) is not int:
            raise wire.WireError("an iterator is malformed")
        return _RemoteIterator(self, told)

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


async def _ready(value: Any) -> Any:
    """What a candidate's coroutine returned, for a test that awaits or runs it."""
    return value


def _builtin_type(name: Any) -> type:
    found = getattr(builtins, name, None) if type(name) is str else None
    if not isinstance(found, type):
        raise wire.WireError("no builtin type")
    return found


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

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return made(super().__call__(*arguments, **named))

    def __getattr__(self, name: str) -> Any:
        return self._remote.ask("getattr", self._target, (name,), {})

    def __instancecheck__(self, instance: object) -> bool:
        return is_instance(instance, self._remote, self._target)
