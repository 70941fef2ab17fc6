"""The candidate as the judge sees it: a remote function, and objects that stay on the other side.

Everything that arrives is decoded into exact builtin values or refused. A connection that breaks
the protocol once stays broken, and every later call fails.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import os
import socket
import sys
import time
from _thread import RLock
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from . import buffers, wire
from .handles import Dressed, Handle, Opaque, dress, new_handle, number, undress
from .lent import Lent
from .mirrors import Mirror, Mirrored, MirrorException, Mirrors
from .proxies import ITERATORS, RemoteFunction
from .witness import Witness, ends_a_test

_CALLBACK_DEPTH = 50
_AHEAD_BYTES = 1 << 15
"""Of requests that are sent at once: less than a socket's buffer, or both sides could wait."""
_CAUSES = 5
_MAY_STOP = frozenset({"next", "send", "throw"})
_CLAIMS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "bool", "contains", "isinstance", "hash",
                     "issubclass", "describe", "dir"})  # fmt: skip


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
        self._reader = wire.Reader(sock)
        self._left = wall_seconds
        self._changes: Any = None
        self._wall = wall_seconds
        self._reply_bytes = reply_bytes
        self._mutates = mutates
        self._lock = RLock()
        self._depth = 0
        # not to be known beforehand, so that nothing can be answered before it is asked
        self._ids = itertools.count(int.from_bytes(os.urandom(4), "big") + 1)
        self._lent = Lent()
        self._exceptions: dict[str, type[BaseException]] = {}
        self._mirrors = Mirrors(self, self._exceptions, exceptions_only=not handles)
        self._handles = handles
        self.witness = Witness(self)
        """What objects said of each other, and what comes of asking them more."""
        self.claims = 0
        """How often an object's word was taken for whether something holds."""
        self.told = 0
        """How many builtin values arrived that are no such word, where handles are allowed."""
        self.swallowed: BaseException | None = None
        """What ended a test inside a call of the candidate's, which may have swallowed it."""
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
            "A": self._awaitable,
            "L": self._returned,
            "C": self._mirrors.mirror,
            "N": buffers.numpy_array,
            "P": buffers.element_type,
            "u": self._unencodable,
        }
        if handles:
            builders |= {"h": self._handle, "T": _builtin_type, "X": self._exception}
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
            with contextlib.suppress(OSError):  # gone or slow: the wait for its reply will tell
                self._sock.sendall(frame)
            try:
                value = self._result(call, arguments if mutates else ())
                if self._handles:
                    self.told += is_telling(operation, value)
                return value
            except StopIteration as error:
                if operation in _MAY_STOP:
                    raise
                # As in a generator: it would end the test's own loop or map before its time.
                raise RuntimeError(f"the candidate raised StopIteration {error}") from None

    def send_ahead(self, texts: Sequence[bytes]) -> Sequence[int]:
        """Sends the first of these requests before the program is ready for any.

        One that is still being executed finds them when it has been, and neither side waits for
        the other in between. What it may learn from them too early are arguments, as in any call
        of those that follow, and never what is expected.

        Args:
            texts: of the requests, but for their numbers.

        Returns:
            The numbers of those that were sent: none where they might not fit in between.
        """
        numbers, frames = self._numbered(texts)
        if len(frames) > 2 * _AHEAD_BYTES:
            return ()
        with contextlib.suppress(OSError):  # the wait for a reply will tell
            self._sock.sendall(frames)
        return numbers

    def each(self, texts: Sequence[bytes], sent: Sequence[int] = ()) -> Iterator[tuple[bool, Any]]:
        """Makes calls that are known beforehand, in their order and many to a message.

        Args:
            texts: of the requests, but for their numbers.
            sent: what `send_ahead` said of them.

        Yields:
            For each, whether it gave a value, and that or what was raised.
        """
        done, numbers = 0, sent
        while done < len(texts):
            if not numbers:
                numbers, frames = self._numbered(texts[done:])
                if self.lost is None:
                    with contextlib.suppress(OSError):
                        self._sock.sendall(frames)
            if self.lost is None:
                self.calls += len(numbers)
            yield from map(self._outcome, numbers)
            done += len(numbers)
            numbers = ()

    def _numbered(self, texts: Sequence[bytes]) -> tuple[list[int], bytes]:
        """As many requests as are sent at once, and their numbers."""
        frames, numbers = bytearray(), []
        for text in texts:
            numbers.append(next(self._ids))
            frames += wire.numbered(numbers[-1], text)
            if len(frames) >= _AHEAD_BYTES:
                break
        return numbers, bytes(frames)

    def account(self) -> tuple[Lost | None, dict[str, str], int]:
        """What `close` reads of the conversation, to be put back with `restore`."""
        return self.lost, dict(self.breaches), self.calls

    def restore(self, account: tuple[Lost | None, dict[str, str], int]) -> None:
        """Has what came after `account` forgotten; nothing may be asked any more."""
        self.lost, self.breaches, self.calls = account

    def hurry(self, seconds: float) -> None:
        """Leaves the candidate no more than so much wall time for all that follows."""
        self._left = min(self._left, seconds)

    def arguments(self, call: str) -> tuple[list[Any], list[Any]]:
        """The arguments of a request, and what the last reply says that became of them.

        Raises:
            WireError: the reply doesn't say.
        """
        sent = wire.load(call.encode())["a"]
        return self._decode.sequence(sent), self._decode.sequence(self._changes)

    def _outcome(self, number: int) -> tuple[bool, Any]:
        try:
            if self.lost is not None:
                raise Lost(self.lost.reason, self.lost.detail)
            return True, self._result(number)
        except StopIteration as error:
            return False, RuntimeError(f"the candidate raised StopIteration {error}")
        except BaseException as error:
            return False, error

    def request(self, message: dict[str, Any]) -> Any:
        """One exchange with trusted guest code (a program's runner), as plain JSON.

        Raises:
            Lost: no reply.
        """
        self.calls += 1
        self._sock.sendall(wire.dump(message))
        return self._reader.receive()

    def _receive(self) -> Any:
        started = time.monotonic()
        deadline = started + max(self._left, 0.01)
        try:
            message = self._reader.receive(self._reply_bytes, deadline=deadline)
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
            self._changes = message.get("m")
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
            classes, arguments, text, trace, errno, handle, more = body
            names = [name for name, _, _ in classes]
            if not names or not all(type(name) is str for name in names) or type(text) is not str:
                raise TypeError
            own = more.get("own", 0)
            if own:
                return self._own_exception(own)
            values = self._arguments(arguments)
            if "kind" in more:
                return self._own_kind(more["kind"], values)
            attributes = {str(key): self._decode(item) for key, item in more.get("d", {}).items()}
            lines = [str(line)[:300] for line in trace][:20]
            raised = self._build_exception(classes, values, text)
            raised.__dict__.update(
                {key: item for key, item in attributes.items() if not key.startswith("__")}
            )
            if more.get("from") is not None:
                raised.__cause__ = self._nested(more["from"])
            elif more.get("in") is not None:
                raised.__context__ = self._nested(more["in"])
        except NotBuiltinError:
            raise wire.WireError("an exception is malformed: no builtin value") from None
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise wire.WireError(f"an exception is malformed: {type(error).__name__}") from None
        self._note_breach(names, text, errno)
        raised.__dict__["__remote__"] = {"type": names[0], "trace": lines}
        if type(handle) is int and handle:
            raised.__dict__["__handle__"] = new_handle(Opaque, self, handle)
            raised.__dict__["__number__"] = handle
        return raised

    def _nested(self, body: Any) -> BaseException:
        self._depth += 1
        try:
            if self._depth > _CALLBACK_DEPTH:
                raise wire.WireError("exceptions without end")
            return self._exception(body)
        finally:
            self._depth -= 1

    def _own_exception(self, told: Any) -> BaseException:
        """An exception of the test's, raised in a callback, that the candidate lets through."""
        try:
            error = self._lent.get(told)
        except KeyError:
            raise wire.WireError("an exception of the test's that never was") from None
        if not isinstance(error, BaseException):
            raise wire.WireError("an exception of the test's that is none")
        return error

    def _own_kind(self, told: Any, values: list[Any]) -> BaseException:
        """An exception that the candidate makes of a class of the test's."""
        try:
            kind = self._lent.get(told)
        except KeyError:
            raise wire.WireError("an exception of the test's that never was") from None
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise wire.WireError("an exception of the test's that is none")
        error: BaseException = kind.__new__(kind, *values)
        error.args = tuple(values)
        error.__dict__["__remote__"] = {"type": kind.__name__, "trace": []}
        return error

    def _arguments(self, arguments: Any) -> list[Any]:
        try:
            return self._decode.sequence(arguments)
        except NotBuiltinError:
            return []  # its text will do

    def _build_exception(self, classes: list[Any], values: list[Any], text: str) -> BaseException:
        first = classes[0][0]
        for name, told, module in classes:
            known: Any = self._mirrors.get(told) or self._exceptions.get(name)
            known = known or getattr(builtins, name, None) or _standard(module, name)
            if not (isinstance(known, type) and issubclass(known, BaseException)):
                continue
            if not issubclass(known, Exception):
                return Thrown(f"{first}: {text}" if text else first)
            if issubclass(known, Mirrored):
                error = known.__new__(known, *values)
                error.__dict__["__text__"] = text
                return error
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
        operation = message.get("o", "call")
        try:
            self._lent.get(message.get("f"))
            known = type(operation) is str and self._depth < _CALLBACK_DEPTH
        except KeyError:
            known = False
        if type(message.get("a")) is not list or type(message.get("k")) is not dict or not known:
            raise self._end("protocol", "a call back into nothing that was given")
        self._depth += 1
        try:
            arguments = [self._decode(item) for item in message["a"]]
            named = {key: self._decode(item) for key, item in message["k"].items()}
            value = self._lent.do(message["f"], operation, arguments, named)
            reply: dict[str, Any] = {"v": self._answer(value)}
        except wire.WireError as error:
            raise self._end("protocol", str(error)) from None
        except Exception as error:
            self._note_end(error)
            reply = {"x": self._other(error)}
        except BaseException as error:
            self._note_end(error)
            raise
        finally:
            self._depth -= 1
        with contextlib.suppress(OSError):  # the wait for the reply to the outer call will tell
            self._sock.sendall(wire.dump(reply))

    def _answer(self, value: Any) -> object:
        if isinstance(value, Coroutine):  # what it awaits is either at hand or can't be had here
            try:
                while True:
                    value.send(None)
            except StopIteration as done:
                return {"A": self.encode(done.value)}
        return self.encode(value)

    def _note_end(self, error: BaseException) -> None:
        """A failed assertion inside a callback counts, whatever the candidate makes of it."""
        if self.swallowed is None and ends_a_test(error):
            self.swallowed = error

    def word(self) -> tuple[int, int]:
        """How often an object's word was taken, and how many other values arrived."""
        return self.claims, self.told

    def refuses_to_leave(self, error: BaseException) -> bool:
        """Whether an exception ends a test, so that no `with` block may swallow it."""
        return ends_a_test(error)

    def _other(self, value: object) -> object:
        """Encodes an argument that is no builtin value."""
        if isinstance(value, Dressed):
            value = undress(value)
        kind = type(value)
        if isinstance(value, Handle):
            return number(value)
        if kind is Mirror or kind is MirrorException:
            return {"h": type.__getattribute__(value, "__dict__")["__regreen_source__"][1]}
        if isinstance(value, RemoteFunction):
            return value.target
        if isinstance(value, BaseException):
            return self._lend_exception(value)
        if isinstance(value, type) and value.__module__ == "builtins":
            return {"T": value.__name__}
        array = buffers.encode(value)
        if array is not None:
            return array
        if not isinstance(value, type):
            with contextlib.suppress(TypeError):
                return self.encode(wire.plain(value))
        if buffers.is_array(value):
            raise TypeError(f"a {kind.__name__} of this kind can't be sent to the candidate")
        lent = self._lent.encode(value)
        if lent is None:
            raise TypeError(
                f"an argument of type {kind.__name__} can't be sent to the candidate; "
                "use builtin values"
            )
        return lent

    def _lend_exception(self, error: BaseException) -> object:
        told = error.__dict__.get("__number__")
        if type(told) is int:
            return {"h": told}
        told, path, _ = self._lent.exception(error)["X"]
        try:
            arguments = [self.encode(item) for item in error.args]
        except TypeError:
            arguments = [str(error)]
        return {"X": [told, path, arguments]}

    def _handle(self, body: Any) -> Any:
        told, kind, *value = body
        if type(told) is not int:
            raise wire.WireError("a handle is malformed")
        handle = new_handle(self._mirrors.mirror(kind), self, told)
        return dress(self._decode(value[0]), handle) if value else handle

    def _returned(self, told: Any) -> Any:
        """A thing of the test's own that comes back."""
        try:
            return self._lent.get(told)
        except KeyError:
            raise wire.WireError("a thing of the test's that never was") from None

    def _awaitable(self, body: Any) -> Any:
        what, inner = body
        if what == "x":
            return _failed(self._exception(inner))
        return _ready(self._decode(inner))

    def _iterator(self, body: Any) -> Any:
        told, what = body
        if type(told) is not int or what not in ITERATORS:
            raise wire.WireError("an iterator is malformed")
        return ITERATORS[what](self, told)

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
    elif hasattr(place, "dtype") and place.shape == changed.shape and place.dtype == changed.dtype:
        place[...] = changed


def is_telling(operation: str, value: object) -> bool:
    """Whether a reply is a value for the judge to compare, and not an object's word or nothing."""
    if value is None or operation in _CLAIMS:
        return False
    return not isinstance(value, (Handle, type))


async def _ready(value: Any) -> Any:
    """What a candidate's coroutine returned, for a test that awaits or runs it."""
    return value


async def _failed(error: BaseException) -> Any:
    raise error


def _standard(module: object, name: str) -> Any:
    """A name of a module of the standard library that this process has loaded."""
    if type(module) is not str or module.partition(".")[0] not in sys.stdlib_module_names:
        return None
    return getattr(sys.modules.get(module), name, None)


def _builtin_type(name: Any) -> type:
    found = getattr(builtins, name, None) if type(name) is str else None
    if not isinstance(found, type):
        raise wire.WireError("no builtin type")
    return found
